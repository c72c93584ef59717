"""Latency by stage: the time of each stage of an instant, with p50 and p95."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from runtime.stats import Percentiles

_KEPT = 2048
"""Instants: 100 s at 20 a second; a guess, not measured."""


class StageTimer:
    """Milliseconds by stage of recent instants; a stage entered twice in an instant adds up."""

    def __init__(self) -> None:
        self._current: dict[str, float] = {}
        self._kept: dict[str, deque[float]] = {}
        self.last: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, (time.perf_counter() - started) * 1e3)

    def add(self, stage: str, ms: float) -> None:
        """Add `ms` milliseconds to a stage of the current instant; several calls add up."""
        self._current[stage] = self._current.get(stage, 0.0) + ms

    def end_instant(self) -> None:
        """Close the current instant and begin the next; `last` has its milliseconds by stage.

        A stage that did not occur has no value for it.
        """
        self.last, self._current = self._current, {}
        for stage, ms in self.last.items():
            self._kept.setdefault(stage, deque(maxlen=_KEPT)).append(ms)

    def percentiles(self) -> dict[str, Percentiles]:
        """p50 and p95 of every stage by name, in ms, over the last 2048 instants in which it
        occurred.

        The present instant counts only after `end_instant`. Stages that never occurred are missing;
        empty at first.
        """
        return {
            stage: Percentiles(p50=float(np.percentile(ms, 50)), p95=float(np.percentile(ms, 95)))
            for stage, ms in self._kept.items()
        }
