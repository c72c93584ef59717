"""3D joints from 2D observations and known cameras.

In: observations and a calibrated rig. Out: joints with standard deviations, after wrong views were
left out and swapped sides put right.
Read `reconstruct.py` first; `pose_solver.py` is the solver.
"""
