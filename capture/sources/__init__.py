"""Cameras, video files and recorded sessions behind one interface.

In: a device, a network address, a video file or a session folder. Out: exposures, each a JPEG with
the time it was taken and how that time was obtained.
Read `source.py` first: it is the interface.
"""
