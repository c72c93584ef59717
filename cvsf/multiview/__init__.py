"""The geometry of several views of one person: observations, cameras, reprojection.

In: 2D keypoints of V views, and cameras. Out: projections, residuals with their derivatives, and
triangulated joints. The solvers are in `reconstruction` and `calibration`.
Read `observations.py` and `rig.py` first.
"""
