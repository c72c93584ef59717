"""The steps of a night, each with its product on disk, so that a killed night is continued.

In: the sessions of the day and the live engine. Out: a new engine that is measurably better, or
the reason why nothing changed.
Read `session_selection.py`, `compare_engines.py` and `gate.py`; `train/nightly.py` is the story.
"""
