"""Online calibration of the cameras from the athlete, and skeletons in the world frame.

In: keypoints and lifted poses of every instant. Out: skeletons in metres in one world frame, and
which cameras are calibrated, moved or recovered.
Read `world.py` first; `online_calibrator.py` works in a process of its own.
"""
