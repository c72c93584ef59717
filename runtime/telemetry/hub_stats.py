"""Counts and rates of instants, skeletons and cameras; rates are since the last read.

Every exposure of every camera is in exactly one of recorded, not_kept, dropped and in_ring.
"""

import time
from collections import Counter
from collections.abc import Mapping

import numpy as np

from cvsf.messages import MultiviewPose
from cvsf.session.statistics import Source
from runtime.ingest.camera_connection import Link
from runtime.ingest.frame_accounting import account
from runtime.ingest.receiver import Receiver
from runtime.stats import CameraStats, InstantStats


class InstantCounter:
    """Counts since the start, and rates since the last time they were read."""

    def __init__(self) -> None:
        self._started_s = self._read_s = time.monotonic()
        self.instants = self.instants_full = self.skeletons = self.predicted = (
            self.several_views
        ) = 0
        self.left_out: Counter[str] = Counter()
        self._last = (0, 0)
        self._last_frames: dict[str, int] = {}
        self._confidence: dict[str, list[float]] = {}

    def count_pose(self, pose: MultiviewPose, *, full: bool) -> None:
        """Count an instant that was processed; `full` if all live cameras gave a frame.

        The mean confidence of each camera is kept until the next `read`. Skeletons are not counted
        here.
        """
        self.instants += 1
        self.instants_full += full
        seen = pose.confidence.any(1)
        self.several_views += int(seen.sum() > 1)
        for camera, row in zip(pose.cameras, pose.confidence, strict=True):
            self._confidence.setdefault(camera, []).append(float(row.mean()))

    def read(self, receiver: Receiver, *, final: bool = False) -> InstantStats:
        """The stats: counts since the start, rates and confidence since the last call.

        Every call begins a new interval. `final`, at the end of the hub, takes the hub's own counts
        for every camera instead of the nodes' reports. Cameras are those connected, and those of
        the session that is continued.
        """
        # cameras join on another thread
        now, links, runs = time.monotonic(), dict(receiver.links), dict(receiver.runs)
        elapsed = max(now - self._read_s, 1e-3)
        instants, full = self.instants - self._last[0], self.instants_full - self._last[1]
        names = sorted({*links, *(camera for camera, _ in receiver.resume)})
        cameras = {
            name: self._camera(name, links.get(name), runs, receiver, elapsed, final)
            for name in names
        }
        self._read_s, self._last = now, (self.instants, self.instants_full)
        self._last_frames = {name: camera.received for name, camera in cameras.items()}
        self._confidence.clear()
        return InstantStats(
            t_s=round(now - self._started_s, 2),
            instants=self.instants,
            instants_full=self.instants_full,
            instants_per_s=round(instants / elapsed, 2),
            instants_full_per_s=round(full / elapsed, 2),
            instants_partial_per_s=round((instants - full) / elapsed, 2),
            instants_several_views=self.several_views,
            skeletons=self.skeletons,
            skeletons_predicted=self.predicted,
            left_out=dict(self.left_out),
            cameras=cameras,
        )

    def _camera(
        self,
        name: str,
        link: Link | None,
        runs: Mapping[Source, Link],
        receiver: Receiver,
        elapsed_s: float,
        final: bool,
    ) -> CameraStats:
        own_runs = [run for (camera, _), run in runs.items() if camera == name]
        received = sum(run.frames for run in own_runs)
        confidence = self._confidence.get(name)
        camera_account = account(name, link, runs, receiver.resume, final=final)
        return CameraStats(
            fps=round((received - self._last_frames.get(name, 0)) / elapsed_s, 1),
            received=received,
            repeated=sum(run.repeated for run in own_runs),
            out_of_order=sum(run.out_of_order for run in own_runs),
            clock_error_ms=round(link.report.clock_error_ns / 1e6, 3) if link else None,
            confidence=round(float(np.mean(confidence)), 3) if confidence else None,
            state=_state(link),
            exposed=camera_account.exposed,
            recorded=camera_account.recorded,
            not_kept=camera_account.not_kept,
            dropped=camera_account.dropped,
            dropped_by=dict(camera_account.reasons),
            in_ring=camera_account.in_ring,
        )


def _state(link: Link | None) -> str:
    if link is None:  # a camera of the session before this hub was restarted
        return "silent"
    if link.gone:
        return "ended" if link.ended else "stopped"
    if link.report.state == "lost":
        return "lost"
    return "live" if time.monotonic() - link.last_message_s < 1.0 else "silent"
