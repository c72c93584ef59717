"""`cvsf bench`: whole nights, the compiled lifter, the cost of fusion, calibrations side by side.

In: simulated slopes that no network was trained on, multi-view files, the shipped engine. Out:
figures as a table or `--json`.
Each bench is the file of its name; `simulated_sessions.py` records the slopes.
"""
