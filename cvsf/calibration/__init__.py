"""Self-calibration of cameras from the athlete: no board, no intrinsics.

In: 2D observations and the lifted pose of each view. Out: a calibrated rig, still or panning and
zooming, in the world frame (metres, z up), or a refusal with its reason.
Read `calibrate.py` first, then `initialise.py` and `bundle_adjustment.py`.
"""
