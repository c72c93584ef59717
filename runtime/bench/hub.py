"""`cvsf bench hub`: the hub's own time an instant, over that of decoding the same pictures.

Own time is everything but decoding and the networks: receive, check, group, crop, normalise, read
keypoints, encode messages, publish and write to disk; waits are not counted, the work of every
thread is. The pictures are those of a simulated run.
"""

import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import simplejpeg
import typer
import zmq
from rich.console import Console
from rich.table import Table

from cvsf.hub_config import HubConfig
from cvsf.messages import Frame, pack, to_header
from cvsf.session.reader import SessionReader
from cvsf.wire import envelope, node_socket
from runtime.bench.harness import free_ports, run_capture
from runtime.hub import Hub, load_networks

_PERIOD_NS = 100_000_000  # of the simulated run: a rate that two cores can render in this size
_VIEWS, _SIZE, _WARM_UP = 4, (1280, 720), 20
_OTHERS = {"decode", "decode alone", "detect", "pose", "lift", "exposure_to_skeleton"}
"""Stages that are not the hub's own: decoder, networks, and transfer."""


def bench_hub(
    instants: Annotated[int, typer.Option(help="Instants to measure.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure the hub's own time against the decoder's, four views of 1280x720."""
    with tempfile.TemporaryDirectory() as folder:
        pictures = simulated_frames(Path(folder))
        result = measure(pictures, instants, Path(folder))
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


def simulated_frames(data: Path) -> list[dict[str, Frame]]:
    """The frames of a short simulated run: for each instant, by camera.

    It runs `cvsf-capture` in `data` and blocks until its end; instants that lack a camera are left
    out. Refusal if the run fails.
    """
    arguments = ["--cams", str(_VIEWS), "--source", "sim", "--seed", "1000003", "--duration", "5"]
    arguments += ["--size", f"{_SIZE[0]}x{_SIZE[1]}", "--fps", str(10**9 // _PERIOD_NS)]
    reader = SessionReader(run_capture(arguments, data).session)
    frames = {(f.camera, f.boot_id, f.seq): f for f in reader.frames()}
    return [
        {camera: frames[(camera, *source)] for camera, source in instant.frames.items()}
        for instant in reader.instants()
        if len(instant.frames) == _VIEWS
    ]


def open_hub(data: Path, session: str, *, cams: int, settings: Mapping[str, Any]) -> Hub:
    """A hub in this process, on free ports, that finds the simulated skier.

    Its receiver already runs, its main loop does not: the caller processes instants, and calls
    `finish`. It does not calibrate cameras; its clock is CLOCK_MONOTONIC. A Refusal if it cannot be
    opened.
    """
    frames_port, skeletons_port, web_port = free_ports(3)
    config = HubConfig(
        frames_port=frames_port,
        skeletons_port=skeletons_port,
        web_port=web_port,
        detector="sim-skier",
        calibrate=False,
        **settings,
    )
    networks = load_networks(config, data, offline=True)
    hub = Hub(config, data / session, networks, cams=cams, anchor_ns=0)
    hub.receiver.start()
    return hub


def measure(pictures: list[dict[str, Frame]], instants: int, data: Path) -> dict[str, Any]:
    """Feed a hub over its socket, one instant at a time; the ratios (no unit) and the stages in ms.

    `own_over_decode` is the hub's own time an instant over the median time to decode the same
    pictures. The first 20 instants are not counted. It blocks, and records a session in `data`.
    """
    settings = {"max_deadline_ms": 1000, "min_deadline_ms": 1000, "absent_s": 60}
    hub = open_hub(data, "fed", cams=_VIEWS, settings=settings)
    endpoint = f"tcp://127.0.0.1:{hub.receiver.port}"
    with zmq.Context() as context, node_socket(context, endpoint) as node:
        rows = _feed(hub, node, pictures, instants)
    hub.finish()
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


def _feed(
    hub: Hub, node: "zmq.Socket[bytes]", pictures: list[dict[str, Frame]], instants: int
) -> list[dict[str, float]]:
    for frame in pictures[0].values():
        node.send(pack(_report(frame)))
    while len(hub.receiver.links) < _VIEWS:
        time.sleep(0.01)  # a frame before its camera's report would be rejected
    rows = []
    # times in the past, so that no frame is ahead of the clock
    start_ns = time.monotonic_ns() - (_WARM_UP + instants) * _PERIOD_NS
    # forwards and backwards, so that the skier never jumps
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    for k in range(_WARM_UP + instants):
        frames = pictures[order[k % len(order)]]
        started = _thread_times()
        for frame in frames.values():
            sent = replace(frame, boot_id="bench", seq=k, t_ns=start_ns + k * _PERIOD_NS)
            node.send_multipart([pack(to_header(sent) | {"after": k - 1}), sent.jpeg])
        group = hub.queue.get(5.0)
        assert group is not None, "the hub formed no instant"
        hub.process(group)
        row = dict(hub.stages.last)
        start_s = time.perf_counter()
        for frame in frames.values():
            simplejpeg.decode_jpeg(frame.jpeg, "BGR")
        row["decode alone"] = (time.perf_counter() - start_s) * 1e3
        done = _thread_times()
        for stage, thread in (("receive", "receive"), ("write", "record"), ("sync", "record-sync")):
            row[stage] = (done.get(thread, 0.0) - started.get(thread, 0.0)) * 1e3
        row["own"] = sum(ms for name, ms in row.items() if name not in _OTHERS)
        if k >= _WARM_UP:
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


def _report(frame: Frame) -> dict[str, object]:
    return envelope(
        "report",
        camera=frame.camera,
        boot_id="bench",
        width_px=frame.width_px,
        height_px=frame.height_px,
        fps=1000.0,  # instants follow each other as fast as they are worked off
        pace="live",
        in_step=False,
    )
