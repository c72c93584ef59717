"""Cameras found live from the athlete, and skeletons placed among them.

In: keypoints and lifted poses of every instant. Out: skeletons in metres in one world frame, and
which cameras hold, moved or were found again.
Read `world.py` first; `online_calibrator.py` works in a process of its own.
"""
