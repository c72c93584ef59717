"""`cvsf bench hub`: the hub's own time an instant, over the time the JPEG decoder alone needs for the same pictures.

Own time is everything but decoding and the networks: receive, check, group, crop, normalise, read keypoints, encode
messages, publish to a client of each kind, and write to disk. Pictures are rendered noise around a moving body, so
that they weigh what a camera's do.
"""

import json
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import simplejpeg
import typer
import zmq
from rich.console import Console
from rich.table import Table

from cvsf.messages import Frame, pack, to_header
from cvsf.wire import envelope, node_socket
from runtime.config import HubConfig
from runtime.hub import Hub
from runtime.rehearsal import free_ports

_VIEWS, _SIZE, _PICTURES = 4, (1280, 720), 12
_OTHERS = {"decode", "detect", "pose", "lift", "exposure to client"}
"""Stages that are not the hub's own: the decoder, the networks, and the sum."""


def bench_hub(
    instants: Annotated[int, typer.Option(help="Instants to measure.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the hub's own time against the decoder's, four views of 1280x720."""
    with tempfile.TemporaryDirectory() as folder:
        result = measure(instants, Path(folder))
    if as_json:
        typer.echo(json.dumps(result))
        return
    table = Table(title=f"{_VIEWS} views of {_SIZE[0]}x{_SIZE[1]}")
    for column in ("stage", "p50 ms", "p95 ms"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage, ms in result["stages_ms"].items():
        table.add_row(stage, f"{ms['p50']:.2f}", f"{ms['p95']:.2f}")
    Console().print(table)
    ratio = result["own_over_decode"]
    Console().print(f"own over decode: p50 {ratio['p50']:.2f}, p95 {ratio['p95']:.2f}")


def measure(instants: int, data: Path) -> dict[str, Any]:
    """Feed a hub over its socket, one instant at a time; the ratios and the stages."""
    frames_port, skeletons_port, web_port = free_ports(3)
    config = HubConfig(
        frames_port=frames_port,
        skeletons_port=skeletons_port,
        web_port=web_port,
        detector="sim-skier",
        max_deadline_ms=1000,
        min_deadline_ms=1000,
    )
    hub = Hub(config, data, data / "session", cams=_VIEWS, offline=True, anchor_ns=0)
    hub.receiver.start()
    with zmq.Context() as context, node_socket(context, f"tcp://127.0.0.1:{frames_port}") as node:
        rows = _feed(hub, node, instants)
    hub.stop.set()
    hub.run(headless=True)
    own, decode = (np.array([row[name] for row in rows]) for name in ("own", "decode alone"))
    ratios = own / np.median(decode)
    return {
        "own_over_decode": {
            "p50": round(float(np.percentile(ratios, 50)), 3),
            "p95": round(float(np.percentile(ratios, 95)), 3),
        },
        "stages_ms": {
            name: {
                f"p{p}": round(float(np.percentile([row.get(name, 0.0) for row in rows], p)), 3)
                for p in (50, 95)
            }
            for name in sorted({name for row in rows for name in row})
        },
        "views": _VIEWS,
        "image_px": list(_SIZE),
        "instants": len(rows),
    }


def _feed(hub: Hub, node: "zmq.Socket[bytes]", instants: int) -> list[dict[str, float]]:
    pictures = _pictures()
    for view in range(_VIEWS):
        node.send(pack(_report(view)))
    rows = []
    for k in range(instants + 20):
        shown = [pictures[(k + 3 * view) % len(pictures)] for view in range(_VIEWS)]
        frames = [_frame(view, k, jpeg) for view, jpeg in enumerate(shown)]
        started = _thread_times()
        for frame in frames:
            header = pack(to_header(frame) | {"after": frame.seq - 1})
            node.send_multipart([header, frame.jpeg])
        group = hub.inbox.get(5.0)
        assert group is not None, "the hub formed no instant"
        received = _thread_times()
        hub.process(group)
        row = dict(hub.stages.last)
        row["receive"] = _busy_ms(started, received, "receive")
        row["write"] = _busy_ms(started, _thread_times(), "record") + _busy_ms(
            started, _thread_times(), "record-sync"
        )
        row["own"] = sum(ms for name, ms in row.items() if name not in _OTHERS)
        begun = time.perf_counter()
        for jpeg in shown:
            simplejpeg.decode_jpeg(jpeg, "BGR")
        row["decode alone"] = (time.perf_counter() - begun) * 1e3
        if k >= 20:
            rows.append(row)
    return rows


def _thread_times() -> dict[str, float]:
    """Processor seconds of this process's threads by name."""
    times = {}
    for thread in threading.enumerate():
        if thread.ident is not None:
            clock = time.pthread_getcpuclockid(thread.ident)
            times[thread.name] = time.clock_gettime(clock)
    return times


def _busy_ms(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return (after.get(name, 0.0) - before.get(name, 0.0)) * 1e3


def _report(view: int) -> dict[str, object]:
    return envelope(
        "report",
        camera=f"cam{view}",
        boot_id="bench",
        width_px=_SIZE[0],
        height_px=_SIZE[1],
        fps=20.0,
        pace="live",
        in_step=False,
    )


def _frame(view: int, seq: int, jpeg: bytes) -> Frame:
    t_ns = time.monotonic_ns() if view == 0 else _frame.t_ns  # type: ignore[attr-defined]
    _frame.t_ns = t_ns  # type: ignore[attr-defined]
    return Frame(
        camera=f"cam{view}",
        boot_id="bench",
        seq=seq,
        t_ns=t_ns,
        raw_ns=t_ns,
        offset_ns=0,
        uncertainty_ns=1000,
        sync_epoch=0,
        stamp="simulated",
        width_px=_SIZE[0],
        height_px=_SIZE[1],
        crc32=zlib.crc32(jpeg),
        jpeg=jpeg,
    )
