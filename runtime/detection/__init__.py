"""From pictures to the keypoints of one person in every view.

In: decoded pictures. Out: keypoints in pixels and confidences, by the ONNX networks of a 2D bundle.
Read `detector.py` first; `bundle.py` defines a bundle.
"""
