"""How far skeletons are from the truth: the errors of the field, in the unit of the truth.

In: estimated and true joints. Out: MPJPE, N-MPJPE, P-MPJPE, PCK, AUC; and which row of a truth
belongs to which instant. Plain numpy.
Read `metrics.py` first.
"""
