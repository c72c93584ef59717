"""The connection of a node to the hub.

In: stamped frames and the hub's answers. Out: frames in order, each resent until it is durable, and
the offset of the hub's clock to the node's.
Read `sender.py` first.
"""
