"""Camera nodes: from a source to stamped frames for the hub.

In: a camera, a video file, a recorded session or the simulated slope. Out: frames to a hub, each
kept until it is durable there. Needs neither torch nor ONNX.
Read `node.py` first; `launch.py` is `cvsf-capture`, which starts the nodes and a hub.
"""
