"""How far skeletons are from the truth: the errors of the field, in mm.

In: estimated and true joints. Out: MPJPE, N-MPJPE, P-MPJPE, PCK, AUC. Plain numpy.
Read `metrics.py` first.
"""
