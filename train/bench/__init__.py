"""`cvsf bench`: whole nights, the compiled lifter and the cost of fusion, measured.

In: simulated slopes that no network was trained on, and the shipped engine. Out: figures as a
table or `--json`.
Each bench is the file of its name; `simulated_sessions.py` records the slopes.
"""
