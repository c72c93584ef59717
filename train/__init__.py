"""The night: from recorded sessions to a better engine that the hub takes.

In: sessions, multi-view files or published datasets. Out: checkpoints, scores, compiled engines.
Folders in the order of the data: data, batches, loop, export; night uses them all, report shows.
Read `nightly.py` and `train.py` first.
"""
