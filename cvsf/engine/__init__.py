"""Compiled networks at work: ONNX Runtime or TensorRT behind one interface.

In: an engine's folder (ONNX file and manifest). Out: a lifter that runs, whose file was checked by
its hash and whose answers by golden vectors.
Read `engine.py` first; `plan_cache.py` keeps what TensorRT built.
"""
