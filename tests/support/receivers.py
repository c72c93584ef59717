"""Receivers of the hub on a free port, and cameras that are connected to one without a network."""

import time
from collections.abc import Callable
from typing import Any

from cvsf.messages import Frame
from runtime.ingest.camera_connection import Link, open_link
from runtime.ingest.receiver import Receiver


def make_receiver(
    on_frame: Callable[[Frame, Link], bool] = lambda frame, link: True,
    *,
    port: int = 0,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> Receiver:
    """A receiver on loopback, not yet started; on port 0 it takes a free one."""
    return Receiver(
        "127.0.0.1",
        port,
        now_ns=now_ns,
        on_frame=on_frame,
        on_idle=lambda: False,
        on_bye=lambda link: None,
    )


def node_report(boot_id: str = "a", **changes: Any) -> dict[str, Any]:
    """What a node reports of its camera and its run."""
    report = {"camera": "cam0", "boot_id": boot_id, "pace": "live", "in_step": False}
    return report | {"width_px": 64, "height_px": 48, "fps": 20.0} | changes


def connect(receiver: Receiver, camera: str, **changes: Any) -> Link:
    """Put the link of a camera's run into the receiver, as if its node had reported."""
    link = open_link(b"", node_report(camera=camera, **changes), None)
    receiver.links[camera] = receiver.runs[camera, link.boot_id] = link
    return link
