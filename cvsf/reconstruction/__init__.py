"""3D joints from 2D observations and known cameras.

In: observations and a calibrated rig. Out: joints with standard deviations, after wrong views were
rejected and left-right swaps corrected.
Read `reconstruct.py` first; `pose_solver.py` is the solver.
"""
