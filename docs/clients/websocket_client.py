"""Every skeleton of a hub as JSON: `python websocket_client.py [ADDRESS]`; needs websockets."""

import json
import sys

from websockets.sync.client import connect

address = sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:5602/skeletons?smooth=1"
with connect(address) as hub:
    about = json.loads(hub.recv())["about"]
    left_wrist = about["joints"].index("lwrist")
    for message in hub:
        skeleton = json.loads(message)
        if skeleton.get("kind") == "skeleton":  # `about` comes again when the engine is swapped
            x, y, z = skeleton["joints"][left_wrist]
            sys.stdout.write(f"{skeleton['instant']} left wrist {x:+.3f} {y:+.3f} {z:+.3f}\n")
