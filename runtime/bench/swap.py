"""`cvsf bench swap`: what a client loses during many hot swaps, with four cameras at 30 frames a
second, and whether invalid engines are refused.

`instants_lost` counts instants of the played session without a skeleton at the client, from the
first promotion to the last swap; `reordered` those that came after a later one.

The age of the newest instant is read when the next one arrives: time of that arrival less the
exposure of the newest before it, the oldest a reader of the stream ever sees. With P its 99.9th
percentile, `latest_instant_periods` is P of all time with swaps, less P of the time without, in
periods of the cameras. Of the time without there is some before, between and after the swaps.
`rss_growth_mb` is the hub's memory after the last swap, less that before the first.
"""

import json
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import zmq

from cvsf.messages import unpack
from cvsf.registry.registry import Registry
from cvsf.system.errors import Refusal
from runtime.bench.fault_injection import SPOILT, copy_with_id, put_live
from runtime.bench.harness import Running, running_capture
from runtime.bench.looped_session import index_of, repeated

_VIEWS, _FPS, _SIZE = 4, 30, "320x240"
_QUIET_S, _BLOCK = 15.0, 50  # of quiet after so many swaps
_SWAP_S, _REFUSALS_S, _PATIENCE_S = 2.0, 90.0, 60.0  # at most
_STAYS_S, _NICENESS = 2.0, 15  # these and above: guesses, not measured
_P = 99.9


@dataclass(frozen=True, slots=True)
class Arrival:
    """A skeleton at the client."""

    at_s: float
    t_ns: int
    engine: str


class Reader:
    """A client that notes every raw skeleton of a hub, on a thread of its own."""

    def __init__(self, port: int) -> None:
        self.arrivals: list[Arrival] = []
        self.trouble: str | None = None  # of the last stats
        self._port, self._stop = port, threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVHWM, 0)
            socket.setsockopt(zmq.SUBSCRIBE, b"skeleton.raw")
            socket.setsockopt(zmq.SUBSCRIBE, b"stats")
            socket.connect(f"tcp://127.0.0.1:{self._port}")
            while not self._stop.is_set():
                if socket.poll(100):
                    topic, content = socket.recv_multipart()
                    header = unpack(content, trusted=True)
                    if topic == b"stats":
                        self.trouble = header["engine_trouble"]
                    else:
                        one = Arrival(time.perf_counter(), header["t_ns"], header["engine"])
                        self.arrivals.append(one)

    def serves(self, engine: str) -> bool:
        """Whether the newest skeleton came from that engine; False before the first skeleton."""
        return bool(self.arrivals) and self.arrivals[-1].engine == engine

    def close(self) -> None:
        """End the reader's thread; blocks until it has ended."""
        self._stop.set()
        self._thread.join()


def bench_swap(
    swaps: Annotated[int, typer.Option(min=2, help="How often the engine is swapped.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Swap the engine under load, then promote invalid engines, which must be refused."""
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), swaps)
    if as_json:
        typer.echo(json.dumps(result))
        return
    for name, value in result.items():
        typer.echo(f"{name:<26}{value}")


def measure(data: Path, swaps: int, quiet_s: float = _QUIET_S) -> dict[str, Any]:
    """All figures of one run with so many hot swaps, by key, as the module says.

    Before and after each block of 50 swaps there are `quiet_s` seconds without any. It blocks for
    minutes, and writes sessions and engines in `data`. Refusal if the hub ends or does nothing for
    60 s.
    """
    blocks = -(-swaps // _BLOCK)
    lasts_s = swaps * _SWAP_S + (blocks + 1) * quiet_s + _REFUSALS_S
    typer.echo("recording a session", err=True)
    session = repeated(data, views=_VIEWS, fps=_FPS, seconds=lasts_s, size=_SIZE)
    arguments = ["--cams", str(_VIEWS), "--source", str(session), "--realtime"]
    arguments += ["--detector", "sim-skier", "--record", "poses", "--duration", str(lasts_s)]
    registry = Registry(data / "hub" / "models")
    pair = [registry.add(copy_with_id(data / name, name)).name for name in ("one", "other")]
    registry.promote(pair[0], "live before the bench")
    with running_capture(arguments, data / "hub") as running:
        reader = Reader(running.skeletons_port)
        try:
            _wait(running, lambda: len(reader.arrivals) > 2 * _FPS)
            with _promoter(registry.models) as promote:
                spans, rss_mb = _swap_in_blocks(running, reader, promote, (pair, swaps, quiet_s))
            refused = _refuse(running, reader, registry)
            running.end()
        finally:
            reader.close()
    return {
        **figures(reader.arrivals, spans),
        "rss_growth_mb": round(rss_mb[-1] - rss_mb[0], 1),
        "rss_mb": [round(one, 1) for one in rss_mb],
        "swaps": swaps,
        "refused": refused,
        "load_average": round(os.getloadavg()[0], 2),
    }


@contextmanager
def _promoter(models: Path) -> Iterator[Callable[[str, str], None]]:
    """Promotes from a process of its own, as a night does, at the lowest priority, so that it takes
    no time from the client here.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_promote_ordered, args=(theirs, models), daemon=True)
    process.start()

    def promote(id: str, why: str) -> None:
        ours.send((id, why))
        if refused := ours.recv():
            raise Refusal(refused)

    try:
        yield promote
    finally:
        ours.send(None)
        process.join()


def _promote_ordered(orders: Any, models: Path) -> None:
    os.nice(_NICENESS)
    registry = Registry(models)
    while order := orders.recv():
        try:
            registry.promote(*order)
            orders.send("")
        except Refusal as refusal:
            orders.send(str(refusal))


def _swap_in_blocks(
    running: Running,
    reader: Reader,
    promote: Callable[[str, str], None],
    options: tuple[list[str], int, float],
) -> tuple[dict[str, list[tuple[float, float]]], list[float]]:
    """Swap back and forth in blocks; when there was quiet and when not, and the hub's memory."""
    pair, swaps, quiet_s = options
    spans: dict[str, list[tuple[float, float]]] = {"quiet": [], "swapping": []}
    hub, rss_mb = running.hub_process(), []

    def quiet() -> None:
        began = time.perf_counter()
        time.sleep(quiet_s)
        spans["quiet"].append((began, time.perf_counter()))
        rss_mb.append(resident_mb(hub))

    quiet()
    for first in range(0, swaps, _BLOCK):
        began = time.perf_counter()
        for swap in range(first, min(first + _BLOCK, swaps)):
            id = pair[(swap + 1) % 2]
            promote(id, f"swap {swap + 1} of a bench")
            _wait(running, partial(reader.serves, id))
        spans["swapping"].append((began, time.perf_counter()))
        typer.echo(f"{swap + 1} swaps, {resident_mb(hub):.0f} MB", err=True)
        time.sleep(1.0)  # so that the last swap does not count as quiet
        quiet()
    return spans, rss_mb


def _refuse(running: Running, reader: Reader, registry: Registry) -> dict[str, bool]:
    """Promote every invalid engine; whether it was refused, reported, and the old one kept."""
    serving, refused = reader.arrivals[-1].engine, {}
    for case, spoil in SPOILT.items():
        bad = copy_with_id(registry.models / f"spoilt-{case.replace(' ', '-')}", None)
        spoil(bad)
        try:
            registry.promote(bad.name, "it should be refused")
            promotion_refused = False
        except Refusal:
            promotion_refused = True
        put_live(registry.models, bad.name)
        _wait(running, lambda: bool(reader.trouble))
        count = len(reader.arrivals)
        time.sleep(_STAYS_S)
        after = reader.arrivals[count:]
        kept = len(after) > 0 and {one.engine for one in after} == {serving}
        refused[case] = promotion_refused and kept
        put_live(registry.models, serving)
        _wait(running, lambda: not reader.trouble)
    return refused


def figures(arrivals: list[Arrival], spans: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """The figures of the client, with swaps and without, by key; computed only, nothing is read.

    `spans` has the beginnings and ends (s, clock of `Arrival.at_s`) of the times `quiet` and
    `swapping`; there must be arrivals in both. Figures with `periods` are in periods of 1/30 s,
    ages above the least age; others are numbers of instants, or s.
    """
    ages = {name: np.array(list(_ages(arrivals, of))) for name, of in spans.items()}
    period_s = 1 / _FPS
    worst = {name: float(np.percentile(age, _P)) for name, age in ages.items()}
    lost = {name: sum(_lost(arrivals, span) for span in of) for name, of in spans.items()}
    order = [index_of(one.t_ns, _FPS) for one in arrivals]
    first = min(float(age.min()) for age in ages.values())
    return {
        "instants_lost": lost["swapping"],
        "instants_lost_without": lost["quiet"],
        "reordered": sum(later <= one for one, later in pairwise(order)),
        "latest_instant_periods": round((worst["swapping"] - worst["quiet"]) / period_s, 2),
        "age_over_least_periods": {
            name: {
                "p50": round(float(np.median(age) - first) / period_s, 2),
                "p99_9": round((worst[name] - first) / period_s, 2),
                "max": round(float(age.max() - first) / period_s, 2),
            }
            for name, age in ages.items()
        },
        "instants": {name: len(age) for name, age in ages.items()},
        "seconds_a_swap": round(
            sum(end - begin for begin, end in spans["swapping"])
            / max(sum(a.engine != b.engine for a, b in pairwise(arrivals)), 1),
            2,
        ),
    }


def _ages(arrivals: list[Arrival], spans: list[tuple[float, float]]) -> Iterator[float]:
    """Of the newest instant, just before the next arrives; the clocks' difference is left in."""
    for before, one in pairwise(arrivals):
        if any(begin <= one.at_s <= end for begin, end in spans):
            yield one.at_s - before.t_ns * 1e-9


def _lost(arrivals: list[Arrival], span: tuple[float, float]) -> int:
    inside = [index_of(one.t_ns, _FPS) for one in arrivals if span[0] <= one.at_s <= span[1]]
    return max(inside) - min(inside) + 1 - len(set(inside)) if inside else 0


def resident_mb(process: int) -> float:
    """Resident memory of a process (its id), in MiB; 0 for one without memory.

    OSError if there is no such process.
    """
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _wait(running: Running, happened: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not happened():
        if running.process.poll() is not None:
            raise Refusal("the session ended before the bench; the machine is overloaded")
        if time.monotonic() > until_s:
            raise Refusal(f"the hub did nothing for {_PATIENCE_S:.0f} s; the machine is overloaded")
        time.sleep(0.02)
