"""Scores of skeletons against ground truth: the metrics of the field, in the unit of the truth.

In: estimated and true joints. Out: MPJPE, N-MPJPE, P-MPJPE, PCK, AUC; and the row of the ground
truth of each instant. Plain numpy.
Read `metrics.py` first.
"""
