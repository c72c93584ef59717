"""The registry: the engines of an installation, the live one and the previous ones.

In: compiled engine folders. Out: one `live` link that is replaced atomically, and a history.
Read `registry.py` first.
"""
