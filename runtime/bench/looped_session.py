"""A long session from a short simulated run: its instants forwards, backwards and forwards again.

Playing it takes little processor time, so that a bench on a small machine measures the hub alone.
It has no calibration, so skeletons stay at unit scale.
"""

from dataclasses import replace
from pathlib import Path

from cvsf.messages import Frame, Instant
from cvsf.session.reader import SessionReader
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from runtime.bench.harness import run_capture

_RECORDED_S = 10
_SYNC_EVERY = 300  # instants; a guess, not measured
_FIRST_NS = 10**15


def repeated(data: Path, *, views: int, fps: int, seconds: float, size: str) -> Path:
    """Record a short simulated run and write a session that repeats it; returns its folder.

    The pictures go forwards, then backwards, `fps` a second for `seconds` s, of `views` cameras
    with pictures of `size` ("320x240"). It blocks; both sessions are written in `data`. Refusal if
    the run fails or this machine is too slow to record it.
    """
    words = ["--cams", str(views), "--source", "sim", "--seed", "1000003", "--size", size]
    words += ["--fps", str(fps), "--duration", str(_RECORDED_S)]
    recorded = SessionReader(run_capture(words, data).session)
    pictures = _pictures(recorded, views)
    if len(pictures) < fps:
        raise Refusal(
            f"the simulated run gave {len(pictures)} pictures of all views, expected "
            f"{_RECORDED_S * fps}; the machine is overloaded"
        )
    there_and_back = pictures + pictures[-2:0:-1]
    writer = SessionWriter(data / "sessions" / "repeated", joint_set="h36m-16")
    for index in range(round(seconds * fps)):
        t_ns = instant_ns(index, fps)
        _write(writer, index, t_ns, there_and_back[index % len(there_and_back)])
        if index % _SYNC_EVERY == 0:
            writer.sync()
    writer.close()
    return writer.folder


def instant_ns(index: int, fps: int) -> int:
    """Time of exposure (ns) of the instant `index` of such a session."""
    return _FIRST_NS + index * 10**9 // fps


def index_of(t_ns: int, fps: int) -> int:
    """The index of the instant with that time of exposure (ns), rounded to the nearest."""
    return round((t_ns - _FIRST_NS) * fps / 1e9)


def _pictures(recorded: SessionReader, views: int) -> list[dict[str, Frame]]:
    """By exposure number: what was rendered, also where the hub dropped it."""
    found: dict[int, dict[str, Frame]] = {}
    for frame in recorded.frames():
        found.setdefault(frame.seq, {})[frame.camera] = frame
    return [found[seq] for seq in sorted(found) if len(found[seq]) == views]


def _write(writer: SessionWriter, index: int, t_ns: int, frames: dict[str, Frame]) -> None:
    for frame in frames.values():
        writer.write(
            replace(frame, boot_id="repeated", seq=index, t_ns=t_ns, raw_ns=t_ns, trigger=None)
        )
    writer.write(
        Instant(
            index=index,
            t_ns=t_ns,
            frames=dict.fromkeys(frames, ("repeated", index)),
            expected=tuple(frames),
            spread_ns=0,
        )
    )
