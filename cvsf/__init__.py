"""The method, and the types and formats that capture, runtime and train share.

Without torch: session (on disk), multiview, reconstruction, calibration (geometry), engine and
registry (networks that run), evaluation, system. With torch: model, the mathematics of the paper.
Read `messages.py` and `skeleton.py` first.
"""
