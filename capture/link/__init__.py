"""A node's end of the wire to the hub.

In: stamped frames and the hub's answers. Out: frames in order, each sent again until the hub has it
on disk, and the offset of the hub's clock to this machine's.
Read `sender.py` first.
"""
