"""A node's end of the wire to the hub.

In: stamped frames and the hub's answers. Out: frames in order, each sent again until the hub has it
on disk, and how far the hub's clock is from this machine's.
Read `sender.py` first.
"""
