"""A stand-in for a running hub: the page's server with moving skeletons, pictures and stats."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from cvsf.messages import Instant, MultiviewPose, Skeleton
from cvsf.skeleton import H36M_16
from runtime.stats import Stats
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from tests.support.material import make_frame

CAMERAS = tuple(f"cam{view}" for view in range(4))
_PLACES = {
    "hip": (0, 0, 0), "spine": (0, 0.05, 0.25), "thorax": (0, 0.12, 0.48), "head": (0, 0.2, 0.72),
    "hip_": (0.13, 0, -0.02), "knee": (0.16, 0.12, -0.45), "ankle": (0.17, -0.1, -0.85),
    "shoulder": (0.19, 0.12, 0.46), "elbow": (0.38, 0.2, 0.22), "wrist": (0.4, 0.45, 0.2),
}  # fmt: skip


FOUND = {
    "calibration": 3, "cause": "moved", "instants": 64, "age_s": 2.0, "scale_source": "height",
    "moved": ["cam2"], "moves": 1, "misfit": {"cam0": 0.006, "cam1": 0.04, "cam2": 0.5},
}  # fmt: skip


def _rig(names: Sequence[str]) -> dict[str, Any]:
    """Cameras 8 m away that look at the origin; those of `FOUND` have moved."""
    cameras = {}
    for view, camera in enumerate(names):
        turn = 2 * np.pi / len(names) * view
        ahead = np.array([-np.cos(turn), -np.sin(turn), 0.0])
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        cameras[camera] = {
            "centre": -8 * ahead + [0, 0, 1.5],
            "view_from_world": np.stack([right, [0.0, 0.0, -1.0], ahead]),
            "focal_px": 700.0,
            "image_px": [640, 480],
            "moved": view == 2,
        }
    return {"number": 3, "scale_source": "height", "cameras": cameras}


def _body(t_s: float) -> npt.NDArray[np.float64]:
    """A figure that leans from side to side, z up, x to its right."""
    joints = []
    for joint in H36M_16.joints:
        sided = joint[0] in "lr" and joint not in _PLACES
        name = {"hip": "hip_"}.get(joint[1:], joint[1:]) if sided else joint
        x, y, z = _PLACES[name]
        joints.append((-x if sided and joint[0] == "l" else x, y, z))
    lean = 0.45 * np.sin(1.3 * t_s)
    turn = np.array([[np.cos(lean), 0, np.sin(lean)], [0, 1, 0], [-np.sin(lean), 0, np.cos(lean)]])
    body: npt.NDArray[np.float64] = 2 * np.array(joints) @ turn.T
    return body


def _picture(view: int, keypoints_px: npt.NDArray[np.float64]) -> bytes:
    image = np.full((480, 640, 3), (238, 232, 225), np.uint8)
    cv2.rectangle(image, (0, 0), (640, 130 + 10 * view), (205, 150, 100), -1)
    for parent, child in H36M_16.bones:
        ends = keypoints_px[[parent, child]].astype(int).tolist()
        cv2.line(image, ends[0], ends[1], (60, 45, 150), 26)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


class ShownHub:
    """A thread that gives the server what a hub's output thread does."""

    def __init__(
        self,
        cameras: tuple[str, ...] = CAMERAS,
        *,
        world: bool = False,
        stats: Mapping[str, Any] | None = None,
    ) -> None:
        """`stats` replace or add keys of the stand-in's own."""
        self.recording, self.world, self.cameras, self.stats = False, world, cameras, stats or {}
        self.asked: list[bool] = []
        self.server = WebServer(
            port=0,
            about=about(H36M_16, cameras, "lifter-1", world=_rig(cameras) if world else None),
            on_record=self._record,
        )
        self.address = f"http://127.0.0.1:{self.server.port}/"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()

    def _record(self, wanted: bool) -> None:
        self.asked.append(wanted)
        self.recording = wanted

    def _run(self) -> None:
        instant = 0
        while not self._stop.wait(0.05):
            self._give(instant)
            if instant % 10 == 0:
                self.server.send_stats(Stats.model_validate(self._stats(instant)))
            instant += 1

    def _give(self, instant: int) -> None:
        body, t_ns = _body(instant * 0.05), 1 + instant * 50_000_000
        confidence = np.full(len(H36M_16), 0.95, np.float32)
        turns = [0.4 + 2 * np.pi / len(self.cameras) * view for view in range(len(self.cameras))]
        across = [body[:, 0] * np.cos(turn) + body[:, 1] * np.sin(turn) for turn in turns]
        keypoints = [np.stack([320 + 85 * x, 230 - 95 * body[:, 2]], -1) for x in across]
        self.server.send(
            Skeleton(
                t_ns=t_ns,
                uncertainty_ns=0,
                instant=instant,
                engine="lifter-1",
                joints=body.astype(np.float32),
                confidence=confidence,
                views=self.cameras,
                measured=True,
                frame_of_reference="world" if self.world else "canonical",
                scale_source="height" if self.world else "unit",
            )
        )
        pose = MultiviewPose(
            t_ns=t_ns,
            instant=instant,
            cameras=self.cameras,
            image_px=np.full((len(self.cameras), 2), (640, 480), np.float32),
            keypoints_px=np.array(keypoints, np.float32),
            confidence=np.tile(confidence, (len(self.cameras), 1)),
        )
        frames = {}
        for view, camera in enumerate(self.cameras):
            if (instant + view) % 3 == 0:
                frames[camera] = make_frame(
                    camera, instant, _picture(view, keypoints[view]), t_ns=t_ns
                )
        moment = Instant(index=instant, t_ns=t_ns, frames={}, expected=self.cameras, spread_ns=0)
        self.server.show(moment, frames, pose)

    def _stats(self, instant: int) -> dict[str, Any]:
        camera = {"fps": 20.0, "received": instant, "dropped": 0, "clock_error_ms": 0.3}
        return {
            "t_s": instant * 0.05,
            "instants": instant,
            "instants_full": instant,
            "instants_per_s": 20.0,
            "instants_partial_per_s": 0.0,
            "skeletons": instant,
            "skeletons_predicted": 0,
            "latency_ms": {"detect": {"p50": 21.0, "p95": 31.0}, "lift": {"p50": 2.0, "p95": 4.0}},
            "cameras": {
                name: camera | {"confidence": 0.9, "state": "live"} for name in self.cameras
            },
            "world": FOUND if self.world else {"calibration": 0, "waiting_for": "movement"},
            "engine": "lifter-1",
            "detector": "skier-1",
            "session": "/data/sessions/2026-11-22T14-03-11Z" if self.recording else None,
            "recording": self.recording,
            "recording_halted": {} if self.recording else {"pause": "paused"},
            "disk_free_gb": 81.2,
            "free_recording_s": 22340.0,
        } | dict(self.stats)
