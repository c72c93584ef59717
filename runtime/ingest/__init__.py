"""From the wire to instants: which frames came, and which belong to one moment.

In: messages of camera nodes. Out: groups of frames, one for each instant, decoded to pixels, and
the count of every frame that was exposed.
Read `receiver.py` first, then `synchroniser.py`.
"""
