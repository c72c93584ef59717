"""Every skeleton of a hub: `python zmq_client.py [ENDPOINT]`; needs pyzmq, msgpack and numpy."""

import sys

import msgpack
import numpy as np
import zmq

socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.RCVHWM, 8)  # newest wins: a slow reader loses skeletons, not time
socket.setsockopt(zmq.SUBSCRIBE, b"skeleton.raw")  # skeleton.smooth for the steadied one
socket.connect(sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5601")
while True:
    topic, content = socket.recv_multipart()
    skeleton = msgpack.unpackb(content)
    shape, values = msgpack.unpackb(skeleton["joints"].data)  # extension type 1: a float32 array
    joints = np.frombuffer(values, "<f4").reshape(shape)  # (J, 3)
    sys.stdout.write(f"{skeleton['instant']} {skeleton['views']} {joints.round(3).tolist()}\n")
