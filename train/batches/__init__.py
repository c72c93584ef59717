"""Training batches, of recordings and of synthetic bodies.

In: recordings on disk, self-calibrated cameras. Out: batches of 2D, with targets only where the
recordings themselves, or synthetic bodies, give them.
Read `batch.py` first; `pseudo_labels.py` makes the targets of stage 3.
"""
