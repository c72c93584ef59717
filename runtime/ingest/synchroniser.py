"""The synchroniser: which frames belong to one instant.

Frames of live cameras are grouped by time, with a deadline, so that an absent camera delays the
others little; frames of sources played in step by trigger number, so that none is lost. Instants go
out once and in order.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cvsf.messages import Frame, Instant

_LAG_MARGIN_NS = 5_000_000
"""Added to the 99th percentile of the lags, which makes the deadline; a guess, not measured."""
_AHEAD_NS = 20_000_000
"""A frame whose time is further ahead of the hub's clock comes from a wrong clock. A guess, not
measured.
"""
_LAGS, _LOOK_EVERY = 400, 100
"""Lags kept, and lags between two changes of the deadline; guesses, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The frames of one instant, at most one a camera."""

    frames: Mapping[str, Frame]
    expected: tuple[str, ...]

    @property
    def full(self) -> bool:
        """Whether every expected camera has a frame in it; True also if no camera is expected."""
        return set(self.expected) <= set(self.frames)

    @property
    def t_ns(self) -> int:
        """Mean time of exposure of its frames, hub clock, in ns; it needs at least one frame."""
        times = [frame.t_ns for frame in self.frames.values()]
        return times[0] + sum(t - times[0] for t in times) // len(times)

    @property
    def uncertainty_ns(self) -> int:
        """The largest uncertainty of its frames, in ns."""
        return max(frame.uncertainty_ns for frame in self.frames.values())

    def instant(self, index: int) -> Instant:
        """The instant to be recorded: its number `index`, and per camera the boot id and seq.

        `spread_ns` is the latest minus the earliest time of exposure.
        """
        times = [frame.t_ns for frame in self.frames.values()]
        return Instant(
            index=index,
            t_ns=self.t_ns,
            frames={camera: (f.boot_id, f.seq) for camera, f in sorted(self.frames.items())},
            expected=self.expected,
            spread_ns=max(times) - min(times),
        )


@dataclass(slots=True)
class _Slot:
    t_ns: int
    opened_ns: int
    frames: dict[str, Frame] = field(default_factory=dict)


class Slots:
    """Grouping by time: a slot of half a period goes out full or at the deadline."""

    def __init__(self, *, min_deadline_ms: float, max_deadline_ms: float) -> None:
        self._min_ns, self._max_ns = min_deadline_ms * 1e6, max_deadline_ms * 1e6
        self._open: list[_Slot] = []
        self._lags_ns: deque[float] = deque(maxlen=_LAGS)
        self._last_t_ns: int | None = None
        self._deadline_ns = self._max_ns
        self._noted = 0
        self.late = self.ahead = 0

    def add(
        self, frame: Frame, now_ns: int, period_ns: float, expected: tuple[str, ...]
    ) -> list[Group]:
        """Add a frame that came at the hub time `now_ns`; returns the instants that go out now.

        It joins the nearest open instant less than half a period (`period_ns`) away without a frame
        of its camera, else it opens a new one. When that instant has all `expected` cameras, it
        goes out, and every earlier one before it, full or partial; oldest first. Only counted are a
        late frame (`late`), exposed before or less than half a period after the last instant that
        went out, and one more than 20 ms in the future (`ahead`). Empty if nothing goes out.
        """
        if frame.t_ns > now_ns + _AHEAD_NS:
            self.ahead += 1  # else the frames of all other cameras would be late
            return []
        slot = self._slot_for(frame, period_ns)
        if slot is None:
            if self._last_t_ns is not None and frame.t_ns < self._last_t_ns + period_ns / 2:
                self.late += 1
                self._note_lag(self._max_ns)
                return []
            slot = _Slot(frame.t_ns, now_ns)
            self._open.append(slot)
            self._open.sort(key=lambda s: s.t_ns)
        slot.frames[frame.camera] = frame
        self._note_lag(now_ns - slot.opened_ns)
        if not set(expected) <= set(slot.frames):
            return []
        # cameras deliver in order: what precedes a full slot can no longer be completed
        return self._emit_until(self._open.index(slot) + 1, expected)

    @property
    def waits(self) -> bool:
        """Whether an instant waits for more frames."""
        return bool(self._open)

    def expire(self, now_ns: int, expected: tuple[str, ...]) -> list[Group]:
        """The instants that wait beyond their deadline at the hub time `now_ns`, and earlier ones.

        An instant waits from the arrival (not the exposure) of its first frame. Oldest first; they
        may be partial; empty if none is overdue. They are removed here, so each goes out once. The
        deadline follows the lags of the last frames, between the two limits of the constructor.
        """
        overdue = [i for i, s in enumerate(self._open) if now_ns - s.opened_ns > self._deadline_ns]
        return self._emit_until(overdue[-1] + 1, expected) if overdue else []

    def _slot_for(self, frame: Frame, period_ns: float) -> _Slot | None:
        near = [
            s
            for s in self._open
            if frame.camera not in s.frames and abs(s.t_ns - frame.t_ns) < period_ns / 2
        ]
        return min(near, key=lambda s: abs(s.t_ns - frame.t_ns), default=None)

    def _note_lag(self, lag_ns: float) -> None:
        self._lags_ns.append(lag_ns)
        self._noted += 1
        if self._noted % _LOOK_EVERY == 0:
            lag = float(np.percentile(self._lags_ns, 99)) + _LAG_MARGIN_NS
            self._deadline_ns = min(max(lag, self._min_ns), self._max_ns)

    def _emit_until(self, count: int, expected: tuple[str, ...]) -> list[Group]:
        done, self._open = self._open[:count], self._open[count:]
        self._last_t_ns = done[-1].t_ns
        return [Group(frames=s.frames, expected=expected) for s in done]


class Steps:
    """Grouping by trigger number; a group goes out when every camera has sent or passed it."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Frame]] = {}
        self._ended: set[str] = set()
        self.beyond = 0
        self.last_trigger: int | None = None  # of the shortest source, once it has ended
        self._emitted = -1

    def add(self, frame: Frame) -> bool:
        """Add a frame; False if it is not used.

        It is not used if it is beyond the end of the shortest source (counted in `beyond`), or if
        the group of its trigger number has already gone out. No trigger counts as 0. Frames of one
        camera must come in order.
        """
        trigger = frame.trigger or 0
        if self.last_trigger is not None and trigger > self.last_trigger:
            self.beyond += 1
            return False
        if trigger <= self._emitted:
            return False
        self._waiting.setdefault(frame.camera, deque()).append(frame)
        return True

    @property
    def waits(self) -> bool:
        """Whether a frame waits for those of other cameras."""
        return any(self._waiting.values())

    def end(self, camera: str) -> None:
        """Note that the camera sends no more frames: it is no longer waited for.

        Its frames that wait here still go out.
        """
        self._ended.add(camera)
        self._waiting.setdefault(camera, deque())

    def stop_after(self, trigger: int) -> None:
        """Leave out every frame beyond that trigger, because the shortest source has ended there.

        Frames that wait are removed, later ones are not taken; both are counted in `beyond`. Of
        several calls the lowest trigger holds.
        """
        self.last_trigger = (
            trigger if self.last_trigger is None else min(trigger, self.last_trigger)
        )
        for frames in self._waiting.values():
            while (
                frames and frames[-1].trigger is not None and frames[-1].trigger > self.last_trigger
            ):
                frames.pop()
                self.beyond += 1

    def ready(self, expected: tuple[str, ...]) -> list[Group]:
        """The instants whose trigger each of `expected` has sent or passed; oldest first.

        They are removed here. A camera that has ended is not waited for. Empty as long as an
        expected camera has neither sent a frame nor ended.
        """
        groups = []
        while set(expected) <= set(self._waiting):
            heads = {c: frames[0] for c, frames in self._waiting.items() if frames}
            if not heads or any(not self._waiting[c] for c in expected if c not in self._ended):
                break
            trigger = min(f.trigger or 0 for f in heads.values())
            frames_now = {c: f for c, f in heads.items() if (f.trigger or 0) == trigger}
            for camera in frames_now:
                self._waiting[camera].popleft()
            self._emitted = trigger
            groups.append(Group(frames=frames_now, expected=expected))
        return groups
