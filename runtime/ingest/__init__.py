"""From the wire to instants: which frames arrived, and which belong to one moment.

In: messages of camera nodes. Out: groups of frames, one for each instant, decoded to pixels, and
the count of every exposure.
Read `receiver.py` first, then `synchroniser.py`.
"""
