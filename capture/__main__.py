"""`cvsf-capture`: one node per camera and, without `--hub`, a hub, each a process that ends with this one.

A child that crashes is started anew; a child that refuses ends everything with its sentence and exit 2.
"""

import contextlib
import importlib.metadata
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.camera import SourceSpec, find_sources
from capture.config import CaptureConfig
from capture.node import parse_size
from cvsf.__main__ import refuse_politely
from cvsf.refusal import Refusal
from cvsf.session import read_manifest, session_folder
from cvsf.settings import data_folder, load_table
from cvsf.wire import FRAMES_PORT, parse_host

log = logging.getLogger(__name__)

_RESTART_S, _RESTART_MAX_S = 0.3, 5.0
_LONG_LIFE_S = 10.0
_NODES_STOP_S, _HUB_STOP_S = 2.5, 5.0
"""Patience with a child that was asked to end; well-behaved ones take a fraction of it."""
_BUILT_FOR = {"sim": "sim-skier"}
"""Sources whose 2D bundle comes with the package; any other source takes the hub's default."""


@dataclass(slots=True)
class Child:
    """A process that is kept running."""

    name: str
    command: list[str]
    reads: bool = False  # its standard output is for us
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    pause_s: float = _RESTART_S
    restart_at_s: float | None = None
    ended: bool = False
    account: dict[str, Any] = field(default_factory=dict)

    def start(self, ready_fd: int | None = None) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the supervisor."""
        extra = [] if ready_fd is None else ["--ready-fd", str(ready_fd)]
        self.process = subprocess.Popen(
            [*self.command, *extra],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.reads else None,
            start_new_session=True,
            pass_fds=() if ready_fd is None else (ready_fd,),
        )
        self.started_s, self.restart_at_s = time.monotonic(), None
        if self.reads:
            threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self.account = json.loads(line)

    def tend(self) -> None:
        """Notice an end; a crash is followed by a restart, with back-off."""
        assert self.process is not None
        if self.restart_at_s is not None:
            if time.monotonic() >= self.restart_at_s:
                self.start()
            return
        code = self.process.poll()
        if code is None or self.ended:
            return
        if code == 2:
            raise _ChildRefusal
        if code == 0:
            self.ended = True
            return
        log.warning("process died, starting it anew", extra={"process": self.name, "code": code})
        lived_s = time.monotonic() - self.started_s
        self.pause_s = _RESTART_S if lived_s > _LONG_LIFE_S else min(2 * self.pause_s, _RESTART_MAX_S)
        self.restart_at_s = time.monotonic() + self.pause_s

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, timeout_s: float) -> int | None:
        """The exit code; killed, and said so, if it did not end in time."""
        if self.process is None:
            return None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            log.error("process did not end and is killed", extra={"process": self.name})
            self.process.kill()
            return self.process.wait()


class _ChildRefusal(Exception):
    """A child said no; its sentence is on standard error already."""


def supervise(hub: Child | None, nodes: Sequence[Child], duration_s: float | None) -> int:
    """Run until the sources end, the time is up or a signal comes; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        if hub:
            _start_hub(hub, stop)
        for child in nodes:
            child.start()
        until = time.monotonic() + duration_s if duration_s else float("inf")
        while not stop.wait(0.05) and time.monotonic() < until:
            for child in [*nodes, *([hub] if hub else [])]:
                child.tend()
            if all(child.ended for child in nodes) or (hub and hub.ended):
                break
    except _ChildRefusal:
        _end(nodes, hub)
        return 2
    return _end(nodes, hub)


def _start_hub(hub: Child, stop: threading.Event) -> None:
    """Start the hub and wait until nodes may connect."""
    ready, theirs = os.pipe()
    hub.start(theirs)
    os.close(theirs)
    # the pipe closes when the hub is ready or has died
    os.read(ready, 1)
    os.close(ready)
    assert hub.process is not None
    with contextlib.suppress(subprocess.TimeoutExpired):
        if hub.process.wait(0.05) == 2:
            raise _ChildRefusal
    if stop.is_set():
        return


def _end(nodes: Sequence[Child], hub: Child | None) -> int:
    """Nodes first, so that the hub has their last frames on disk, then the hub."""
    for child in nodes:
        child.ask_to_end()
    until = time.monotonic() + _NODES_STOP_S
    codes = [child.wait(max(0.0, until - time.monotonic())) for child in nodes]
    if hub:
        hub.ask_to_end()
        codes.append(hub.wait(_HUB_STOP_S))
    return 0 if all(code in (0, None) for code in codes) else 1


def _bundle_for(specs: Sequence[SourceSpec], detector: str | None) -> str | None:
    """The 2D bundle that fits the source, where the user named none."""
    scheme, _, rest = specs[0].uri.partition(":")
    if detector is None and scheme == "session":
        used = read_manifest(Path(rest.partition("?")[0])).detectors
        return used[-1].rpartition("-")[0] if used else None
    return detector or _BUILT_FOR.get(scheme)


def capture(
    cams: Annotated[int, typer.Option(help="How many cameras.")],
    source: Annotated[
        str | None,
        typer.Option(help="0,1,2,3 · /dev/video0,... · rtsp://... · 'cam*.mp4' · a session · sim"),
    ] = None,
    hub: Annotated[str | None, typer.Option(help="HOST of a hub that runs already.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file: [capture], [hub].")] = None,
    detector: Annotated[str | None, typer.Option(help="2D bundle: its name or its folder.")] = None,
    record: Annotated[str | None, typer.Option(help="frames, poses or none.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    duration: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    fps: Annotated[float | None, typer.Option(help="Pictures a second.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated slope.")] = 0,
    truth: Annotated[Path | None, typer.Option(help="Where the simulator writes what happened.")] = None,
    realtime: Annotated[bool, typer.Option(help="Play files at their own rate.")] = False,
    headless: Annotated[bool, typer.Option(help="A JSON line a second, no table.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of sessions, models, bundles.")] = None,
    names: Annotated[str | None, typer.Option(help="Camera names, comma between.")] = None,
    offline: Annotated[bool, typer.Option(help="Download nothing.")] = False,
    host: Annotated[str | None, typer.Option(help="Address the hub binds.")] = None,
    frames_port: Annotated[int | None, typer.Option(help="Where nodes connect.")] = None,
    skeletons_port: Annotated[int | None, typer.Option(help="Where ZeroMQ clients connect.")] = None,
    web_port: Annotated[int | None, typer.Option(help="Page and WebSocket clients.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Say the version.")] = False,
) -> None:
    """Cameras in, one live 3D skeleton out."""
    load_table(config, "capture", CaptureConfig)
    parse_size(size)
    if duration is not None and duration <= 0:
        raise Refusal(f"--duration is {duration}, expected seconds above 0")
    folder = data_folder(data)
    specs = find_sources(source, cams, names.split(",") if names else (), data=folder)
    is_sim = specs[0].uri.startswith("sim:")
    if truth and not is_sim:
        raise Refusal("--truth is what the simulator knows; real cameras have none: leave it out or use --source sim")
    endpoint = hub or f"127.0.0.1:{frames_port or FRAMES_PORT}"
    parse_host(endpoint, FRAMES_PORT)
    anchor_ns = time.time_ns() - time.monotonic_ns()
    files = {"--config": config and config.absolute(), "--data": folder}
    own_hub = None
    if hub is None:
        given = {
            "--cams": cams,
            "--detector": _bundle_for(specs, detector),
            "--record": record,
            "--session": session_folder(folder, name),
            "--host": host,
            "--frames-port": frames_port,
            "--skeletons-port": skeletons_port,
            "--web-port": web_port,
            "--offline": offline,
            "--headless": headless,
            "--anchor-ns": anchor_ns,
            "--lifeline": True,
        }
        own_hub = Child("hub", _command("hub", given | files))
    epoch_ns = time.monotonic_ns() + anchor_ns
    nodes = []
    for spec in specs:
        given = {
            "--camera": spec.camera,
            "--uri": spec.uri,
            "--hub": endpoint,
            "--config": files["--config"],
            "--size": size,
            "--fps": fps,
            "--seed": seed,
            "--truth": truth and truth.absolute(),
            "--realtime": realtime,
            "--epoch-ns": 0 if spec.uri.startswith("session:") else epoch_ns,
            "--lifeline": True,
        }
        nodes.append(Child(spec.camera, _command("node", given), reads=True))
    code = supervise(own_hub, nodes, duration)
    if truth:
        _gather_truth(truth.absolute(), specs)
    if own_hub is None:
        accounts = {child.name: child.account for child in nodes}
        typer.echo(json.dumps({"final": True, "session": None, "cameras": accounts}))
    sys.exit(code)


def _command(name: str, given: dict[str, object]) -> list[str]:
    words = [sys.executable, "-m", "cvsf", name]
    for option, value in given.items():
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _gather_truth(truth: Path, specs: Sequence[SourceSpec]) -> None:
    """The truth of each simulated camera's process as one file."""
    from capture.simulator import merge_truth

    indices = [spec.uri.rpartition("index=")[2] for spec in specs]
    merge_truth([truth.with_name(f"{truth.stem}.{index}.npz") for index in indices], truth)


def main() -> None:
    """The door of `cvsf-capture`."""
    if sys.argv[1:] == ["--version"]:
        typer.echo(f"cvsf-capture {importlib.metadata.version('cvsf')}")
        return
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(capture)
    refuse_politely(app)


if __name__ == "__main__":
    main()
