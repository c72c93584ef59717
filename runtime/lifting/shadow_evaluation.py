"""Shadow evaluation: the live engine and the previous one on the same instants.

It runs on its own thread. If the live engine is worse by more than the margin and two standard
errors, the registry is rolled back, once, and the hub swaps to the previous engine.
"""

import json
import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cvsf.engine.engine import Engine, Lifted
from cvsf.engine.manifest import read_manifest
from cvsf.hub_config import HubConfig
from cvsf.messages import MultiviewPose
from cvsf.registry.registry import Registry
from cvsf.registry.verification import open_verified
from cvsf.system.errors import Refusal
from runtime.lifting.hot_swap import HotSwap
from runtime.lifting.label_free_metrics import LEAST, Window, complete_views, measured
from runtime.lifting.malloc import separate_pages
from runtime.lifting.pose_assembly import JOINED_SET
from runtime.stats import EngineQuality, Quality, QualityStats, RollBack

log = logging.getLogger(__name__)

QUALITY = "quality.jsonl"
_LONGEST_BYTES = 4 << 20
"""A longer file is renamed to quality.old.jsonl, which it replaces; a guess, not measured."""
_MINUTE_S = 60.0
_WAKE_S = 1.0
"""Longest wait for an instant, so that a minute ends in time; a guess, not measured."""


@dataclass(frozen=True, slots=True)
class _Sample:
    pose: MultiviewPose
    lifted: Lifted
    engine: str


class ShadowEvaluation:
    """The comparison of two engines; `add` and `engine_swapped` belong to the hub's main thread."""

    def __init__(self, serving: HotSwap, config: HubConfig) -> None:
        self._serving, self._config = serving, config
        self._registry: Registry = serving.registry
        self._of = max(LEAST, round(config.drift_window_s * config.drift_hz))
        self._due_s = 0.0
        self._samples: deque[_Sample] = deque(maxlen=2)
        self._replaced: deque[Engine] = deque()  # engines that were swapped out
        self._wake, self._stop = threading.Event(), threading.Event()
        self._rolled_back: RollBack | None = None
        self._quality = Quality()
        self._failed_of = ""
        self._restart_window(serving.engine.id)
        self._previous: Engine | None = None
        self._thread = threading.Thread(target=self._run, name="shadow evaluation", daemon=True)

    def start(self) -> None:
        """Start the thread, which opens the previous engine, measures, and writes `quality.jsonl`.

        Without an older previous engine, or with one that cannot be opened (logged), only the live
        engine is measured. A minute in which instants were measured adds a line to that file, in
        the folder of the registry; a quiet minute adds none, and a swap begins a new minute. If the
        window is full and the live engine is worse by more than the margin, the thread rolls the
        registry back, unless `roll_back` is off or this engine was rolled back from before. Call it
        once; RuntimeError the second time.
        """
        self._thread.start()

    def add(self, pose: MultiviewPose, lifted: Lifted) -> None:
        """Offer a lifted instant, on the hub's main thread; never blocks.

        At most `drift_hz` a second are used, only with two complete views or more. If the thread is
        behind, only the last two wait, and older ones are dropped.
        """
        now_s = time.monotonic()
        if now_s >= self._due_s and len(complete_views(pose)) > 1:
            self._due_s = now_s + 1 / self._config.drift_hz
            self._samples.append(_Sample(pose, lifted, self._serving.engine.id))
            self._wake.set()

    def engine_swapped(self, before: Engine) -> None:
        """Note a hot swap, on the hub's main thread; `before` is the engine that was in use.

        It is kept for the comparison or given back with `HotSwap.retire`: the caller must not close
        it.
        """
        self._replaced.append(before)
        self._wake.set()

    def stats(self) -> QualityStats:
        """The means of the label-free metrics of the live and the previous engine, as last
        measured.

        They are from the present window, and say whether this hub has rolled back. Empty at first.
        """
        return QualityStats(quality=self._quality)

    def close(self) -> None:
        """End the thread of the shadow evaluation; blocks until it has ended.

        The present minute is not written. Nothing is closed but the thread, so the previous engine
        stays open. Also allowed if it was never started.
        """
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    # on a thread of its own

    def _run(self) -> None:
        self._choose_previous(None)
        while not self._stop.is_set():
            self._wake.wait(_WAKE_S)
            self._wake.clear()
            try:
                while self._replaced:
                    self._handle_swap(self._replaced.popleft())
                while self._samples:
                    self._measure(self._samples.popleft())
            except Exception as error:  # whatever a runtime raises, the next instant is measured
                self._log_failure(error)
            if time.monotonic() >= self._minute_s:
                self._note_minute()

    def _log_failure(self, error: Exception) -> None:
        """Log once for each engine that it could not be measured."""
        if self._failed_of != self._engine:
            self._failed_of = self._engine
            log.error("quality not measured", extra={"engine": self._engine}, exc_info=error)

    def _restart_window(self, engine: str) -> None:
        """Begin a new window, for a new pair of engines."""
        self._engine = engine
        self._window = Window(self._of)
        self._minute, self._minute_s = self._one_minute(), time.monotonic() + _MINUTE_S
        self._is_rolled_back_from = False

    def _one_minute(self) -> Window:
        return Window(max(1, round(_MINUTE_S * self._config.drift_hz)))

    def _handle_swap(self, replaced: Engine) -> None:
        if self._serving.engine.id == self._engine:
            self._serving.retire(replaced)  # the same on another backend
            return
        self._note_minute()
        self._restart_window(self._serving.engine.id)
        self._choose_previous(replaced)

    def _choose_previous(self, replaced: Engine | None) -> None:
        """Choose the engine to compare with: the one of a rollback, if it is older."""
        wanted, kept = self._wanted(), self._previous
        self._previous = None
        for engine in (kept, replaced):
            fits = engine and engine.id == wanted and engine.backend.startswith("onnxruntime")
            if engine and fits and self._previous is None:
                self._previous = engine
            elif engine:
                self._serving.retire(engine)
        if wanted and self._previous is None:
            try:
                with separate_pages():
                    self._previous = open_verified(
                        self._registry.folder(wanted), wanted, JOINED_SET
                    )
            except (Refusal, OSError) as error:
                fields = {"engine": wanted, "reason": str(error)}
                log.warning("previous engine cannot be compared with", extra=fields)

    def _wanted(self) -> str | None:
        try:
            wanted = self._registry.previous()
            self._is_rolled_back_from = self._engine in self._registry.rolled_back_from()
            if wanted is None:
                return None
            created = read_manifest(self._registry.folder(wanted)).created
        except (Refusal, OSError):
            return None
        return wanted if created <= self._serving.engine.manifest.created else None

    def _measure(self, sample: _Sample) -> None:
        if sample.engine != self._engine:
            return
        views, before = complete_views(sample.pose), None
        if self._previous and len(sample.pose.cameras) <= self._previous.manifest.max_views:
            before = measured(sample.pose, self._previous.lift(sample.pose), views)
        present = measured(sample.pose, sample.lifted, views)
        for window in (self._window, self._minute):
            window.note(present, before)
        worse = self._window.worse(self._config.drift_margin) if self._window.is_full else None
        self._quality = self._measured(self._window)
        if worse and self._config.roll_back and not self._is_rolled_back_from:
            self._roll_back(worse)

    def _roll_back(self, why: str) -> None:
        """Roll back, once; a new window begins even if that fails."""
        bad, before = self._engine, self._previous
        self._restart_window(bad)
        self._is_rolled_back_from = True
        try:
            if (self._registry.live_id(), self._registry.previous()) != (bad, before and before.id):
                return  # others were promoted meanwhile
            to = self._registry.roll_back(why, instead_of=bad)
        except (Refusal, OSError) as error:
            log.error("engine cannot be rolled back", extra={"engine": bad, "reason": str(error)})
            return
        self._rolled_back = RollBack(from_=bad, to=to, why=why)
        self._quality = self._measured(self._window)

    def _measured(self, window: Window) -> Quality:
        before = self._previous
        return Quality(
            engine=self._engine,
            instants=len(window),
            of=self._of,
            **window.present(),
            before=EngineQuality(engine=before.id, **window.before()) if before else None,
            rolled_back=self._rolled_back,
        )

    def _note_minute(self) -> None:
        """Append a line with the means of the minute to `quality.jsonl`."""
        self._minute_s = time.monotonic() + _MINUTE_S
        if len(self._minute):
            quality = self._measured(self._minute).to_map()
            at = datetime.now(UTC).isoformat(timespec="seconds")
            del quality["of"], quality["rolled_back"]
            self._append({"at": at, **quality})
            self._minute = self._one_minute()

    def _append(self, line: dict[str, Any]) -> None:
        path = self._registry.models / QUALITY
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size > _LONGEST_BYTES:
                path.replace(path.with_name("quality.old.jsonl"))
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(descriptor, json.dumps(line).encode() + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            log.warning("quality not written", extra={"reason": str(error)})
