"""The small 2D network of the simulated skier: pictures in, ONNX out.

In: rendered pictures with their joints. Out: the two networks of the bundle `sim-skier`.
Read `train_detector.py` first.
"""
