"""A camera node: from the lens to a stamped frame on the wire.

In: a camera, a film, a recorded session or the simulated slope. Out: frames to a hub, each kept
until the hub has it on disk. Needs no torch and no ONNX.
Read `node.py` first; `launch.py` is `cvsf-capture`, which starts the nodes and a hub.
"""
