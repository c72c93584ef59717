"""The hub: from the wire to 3D skeletons for clients and to sessions on disk.

In: frames of all cameras. Out: one skeleton an instant, live, and everything recorded. Folders in
the order of the data: ingest, detection, lifting, calibration, streaming, recording. No torch.
Read `hub.py` first.
"""
