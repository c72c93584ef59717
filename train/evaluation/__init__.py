"""Evaluation of a lifter or a calibration, against ground truth if there is any.

In: a lifter or calibrated cameras, and recordings. Out: scores, their tables, and the paper's
tables reproduced.
Read `score_lifter.py` first; for cameras `calibrate_and_score.py`.
"""
