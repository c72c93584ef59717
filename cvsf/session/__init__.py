"""A recorded session on disk: MCAP segments and a manifest.

In: frames, keypoints, skeletons and events. Out: the same messages, with gaps counted, also after
a crash.
Read `folder.py` for the layout, then `writer.py` and `reader.py`.
"""
