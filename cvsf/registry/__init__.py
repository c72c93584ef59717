"""Which engines there are, which one is live, and which was live before.

In: compiled engine folders. Out: one `live` link that changes in one step, and a history.
Read `registry.py` first.
"""
