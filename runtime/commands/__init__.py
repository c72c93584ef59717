"""Commands of `cvsf` that look at a hub, its sessions and its engines from outside.

In: a running hub's live output, or the data folder. Out: tables and `--json`. The hub imports
nothing from here.
Each command is the file of its name (`promote` is in `models.py`).
"""
