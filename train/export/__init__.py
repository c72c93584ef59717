"""From a checkpoint to the ONNX graph that the hub runs.

In: a checkpoint. Out: an engine's folder, refused unless the graph says what torch says.
Read `compile.py` first, then `parity.py`.
"""
