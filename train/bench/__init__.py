"""`cvsf bench`: whole nights, the compiled lifter and the cost of fusion, measured.

In: simulated slopes that nobody has seen, and the shipped engine. Out: figures as a table or
`--json`.
Each bench is the file of its name; `simulated_sessions.py` records the slopes.
"""
