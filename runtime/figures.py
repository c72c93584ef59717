"""What the hub says of itself once a second: the stats map of `docs/protocol.md`.

Every exposure of every camera is in exactly one of recorded, not_kept, dropped and in_ring.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from cvsf.messages import MultiviewPose
from runtime.receive import Link


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

    def read(self, links: Mapping[str, Link], rest: Mapping[str, Any]) -> dict[str, Any]:
        """The map of this second; `rest` is what the hub adds."""
        now, links = time.monotonic(), dict(links)  # cameras join on another thread
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
            "cameras": {c: self._camera(link, elapsed) for c, link in sorted(links.items())},
            **rest,
        }
        self._read_s, self._last = now, (self.instants, self.instants_full)
        self._last_frames = {camera: link.frames for camera, link in links.items()}
        self._confidence.clear()
        return stats

    def _camera(self, link: Link, elapsed_s: float) -> dict[str, Any]:
        report = link.report
        refused = sum(link.refused.values())
        node_dropped = {str(k): int(v) for k, v in dict(report.get("dropped", {})).items()}
        sure = self._confidence.get(link.camera)
        return {
            "fps": round((link.frames - self._last_frames.get(link.camera, 0)) / elapsed_s, 1),
            "received": link.frames,
            "dropped": sum(node_dropped.values()) + refused,
            "dropped_by": node_dropped | dict(link.refused),
            "clock_error_ms": round(int(report.get("clock_error_ns", 0)) / 1e6, 3),
            "confidence": round(float(np.mean(sure)), 3) if sure else None,
            "exposed": int(report.get("exposed", 0)),
            "recorded": max(0, int(report.get("acknowledged", 0)) - refused - link.not_kept),
            "not_kept": link.not_kept,
            "in_ring": int(report.get("in_ring", 0)),
            "state": _state(link),
        }


def _state(link: Link) -> str:
    if link.gone:
        return "ended" if link.ended else "stopped"
    if link.report.get("state") == "lost":
        return "lost"
    return "live" if time.monotonic() - link.heard_s < 1.0 else "silent"
