"""A calibrated rig for the eye: one picture with every camera's best and worst view, and a film.

In: a calibration with its skeletons, and the recording's pictures where there are any. Out: .png,
.mp4, .gif.
Read `calibration_figure.py` first, then `rig_movie.py`.
"""
