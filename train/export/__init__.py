"""From a checkpoint to the ONNX graph that the hub runs.

In: a checkpoint. Out: an engine's folder, refused if its outputs differ from torch's.
Read `compile.py` first, then `parity.py`.
"""
