"""How good a lifter or a calibration is, against the truth where there is one.

In: a lifter or found cameras, and recordings. Out: scores, their tables and figures, and the
paper's tables made again.
Read `score_lifter.py` first; for cameras `calibrate_and_score.py`.
"""
