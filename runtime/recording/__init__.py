"""Frames, keypoints and skeletons to a session on disk.

In: messages of the hub. Out: sealed segments, and which frames are durable. A disk error ends a
segment, never the live output.
Read `recorder.py` first; the format is in `cvsf/session`.
"""
