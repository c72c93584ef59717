"""Recordings of every kind, read as one type.

In: sessions, multi-view files, published datasets, clips. Out: `Recordings` (observations,
with the truth where there is any), in memory or on disk.
Read `instants.py` first, then `read.py`.
"""
