"""Instants as batches to learn from, and what is generated to learn from.

In: instants on disk, self-calibrated cameras. Out: batches of 2D, with targets only where the
recordings themselves, or synthetic bodies, give them.
Read `batch.py` first; `pseudo_labels.py` makes the targets of stage 3.
"""
