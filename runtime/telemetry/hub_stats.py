"""What the hub says of itself once a second: the stats map of `docs/protocol.md`.

Every exposure of every camera is in exactly one of recorded, not_kept, dropped and in_ring.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cvsf.messages import MultiviewPose
from cvsf.session.statistics import Source
from runtime.ingest.camera_connection import Link
from runtime.ingest.frame_accounting import Account, account
from runtime.ingest.receiver import Receiver


class Figures:
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
        """One instant was looked at."""
        self.instants += 1
        self.instants_full += full
        seen = pose.confidence.any(1)
        self.several_views += int(seen.sum() > 1)
        for camera, row in zip(pose.cameras, pose.confidence, strict=True):
            self._confidence.setdefault(camera, []).append(float(row.mean()))

    def read(self, receiver: Receiver, rest: Mapping[str, Any], *, final: bool) -> dict[str, Any]:
        """The map of this second; `rest` is what the hub adds."""
        # cameras join on another thread
        now, links, runs = time.monotonic(), dict(receiver.links), dict(receiver.runs)
        elapsed = max(now - self._read_s, 1e-3)
        instants, full = self.instants - self._last[0], self.instants_full - self._last[1]
        stats = {
            "t_s": round(now - self._started_s, 2),
            "instants": self.instants,
            "instants_full": self.instants_full,
            "instants_per_s": round(instants / elapsed, 2),
            "instants_full_per_s": round(full / elapsed, 2),
            "instants_partial_per_s": round((instants - full) / elapsed, 2),
            "instants_several_views": self.several_views,
            "skeletons": self.skeletons,
            "skeletons_predicted": self.predicted,
            "left_out": dict(self.left_out),
            "cameras": {
                camera: self._camera(camera, links.get(camera), runs, elapsed)
                | _places(account(camera, links.get(camera), runs, receiver.resume, final=final))
                for camera in sorted({*links, *(camera for camera, _ in receiver.resume)})
            },
            **rest,
        }
        self._read_s, self._last = now, (self.instants, self.instants_full)
        self._last_frames = {c: one["received"] for c, one in stats["cameras"].items()}
        self._confidence.clear()
        return stats

    def _camera(
        self, camera: str, link: Link | None, runs: Mapping[Source, Link], elapsed_s: float
    ) -> dict[str, Any]:
        mine = [run for (name, _), run in runs.items() if name == camera]
        received = sum(run.frames for run in mine)
        sure = self._confidence.get(camera)
        return {
            "fps": round((received - self._last_frames.get(camera, 0)) / elapsed_s, 1),
            "received": received,
            "repeated": sum(run.repeated for run in mine),
            "out_of_order": sum(run.out_of_order for run in mine),
            "clock_error_ms": round(link.report.clock_error_ns / 1e6, 3) if link else None,
            "confidence": round(float(np.mean(sure)), 3) if sure else None,
            "state": _state(link),
        }


def _places(of: Account) -> dict[str, Any]:
    """Where the exposures are, every one in exactly one place."""
    return {
        "exposed": of.exposed,
        "recorded": of.recorded,
        "not_kept": of.not_kept,
        "dropped": of.dropped,
        "dropped_by": dict(of.reasons),
        "in_ring": of.in_ring,
    }


def _state(link: Link | None) -> str:
    if link is None:  # only the disk knows of it, since this hub was started anew
        return "silent"
    if link.gone:
        return "ended" if link.ended else "stopped"
    if link.report.state == "lost":
        return "lost"
    return "live" if time.monotonic() - link.heard_s < 1.0 else "silent"
