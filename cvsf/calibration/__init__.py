"""Cameras found from the athlete: no board, no intrinsics.

In: 2D observations and what the lifter made of each view. Out: a calibrated rig in metres with z
up, still or panning and zooming, or a refusal with its reason.
Read `calibrate.py` first, then `initialise.py` and `bundle_adjustment.py`.
"""
