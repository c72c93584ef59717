"""3D joints from 2D observations and known cameras.

In: observations and a calibrated rig. Out: joints with standard deviations, after view rejection
and the correction of left-right swaps.
Read `reconstruct.py` first; `pose_solver.py` is the solver.
"""
