"""Recordings of every kind, read as instants.

In: sessions, multi-view files, published datasets, filmed clips. Out: instants (2D of all views),
in memory or on disk; the truth apart, where there is any.
Read `instants.py` first, then `read.py`.
"""
