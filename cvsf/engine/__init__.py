"""Engines: compiled networks, run by ONNX Runtime or TensorRT behind one interface.

In: the folder of an engine (ONNX file and manifest). Out: a loaded lifter, its file checked by hash
and its outputs by golden vectors.
Read `engine.py` first; `plan_cache.py` keeps the plans that TensorRT built.
"""
