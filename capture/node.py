"""A camera node: from a source to stamped frames for the hub; a lost camera is opened again.

With `--lifeline`, standard input is the lifeline of the node: a line on it starts the filming, and
the node stops when it closes, at the end of the parent process.
"""

import logging
import threading
import time
import uuid
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from capture.config import CaptureConfig
from capture.link.clock_sync import HubClock
from capture.link.sender import Sender
from capture.open_source import open_source
from capture.sources.source import (
    Exposure,
    Source,
    SourceConfig,
    SourceEnded,
    SourceLost,
    parse_size,
)
from cvsf.messages import Frame
from cvsf.system.errors import Refusal
from cvsf.system.jsonl import print_json
from cvsf.system.processes import FRAMES_PORT
from cvsf.system.settings import load_table
from cvsf.system.shutdown import stop_on_signal, stop_with_parent
from cvsf.wire import parse_host

log = logging.getLogger(__name__)

_READ_S = 0.2
"""Longest wait for a picture, after which a request to stop is checked; a guess, not measured."""
_NO_HUB_S = 3.0
"""Time without an answer of the hub, after which it is logged; a guess, not measured."""


class Node:
    """One camera: its source, its offset to the hub's clock, and the sending of its frames."""

    def __init__(
        self, camera: str, uri: str, endpoint: str, source: SourceConfig, epoch_ns: int
    ) -> None:
        self.camera, self.uri, self.endpoint = camera, uri, endpoint
        self.source_config, self.epoch_ns = source, epoch_ns
        self.boot_id = uuid.uuid4().hex[:12]
        self.seq = -1
        self.stop, self.may_start = threading.Event(), threading.Event()
        self.start_ns: int | None = None
        self.begun_ns = 0
        self.lossless = False
        self.clock: HubClock | None = None

    def begin(self, line: str) -> None:
        """Receive the order to film, one line, from any thread; `open` then stops waiting. The line
        is the time CLOCK_MONOTONIC (ns) at which files begin that play in real time. ValueError if
        it is no number.
        """
        self.start_ns = int(line)
        self.may_start.set()

    def open(self) -> Source:
        """Open the source, print one JSON line that it is open, then block until the order to film,
        or `stop`; returns the open source. In real time it is opened again, to begin at the ordered
        time. From then on SIGINT and SIGTERM set `stop`, so it needs the main thread. Refusal, or
        another error of the source, if it cannot be opened.
        """
        source = open_source(self.uri, self.source_config)
        stop_on_signal(self.stop)
        print_json({"camera": self.camera, "open": True})
        while not self.may_start.wait(0.05) and not self.stop.is_set():
            pass
        if self.source_config.realtime and self.start_ns:
            source.close()
            self.source_config = replace(self.source_config, start_ns=self.start_ns)
            source = open_source(self.uri, self.source_config)
        return source

    def run(self, source: Source, config: CaptureConfig) -> dict[str, object]:
        """Send the source's frames until it ends, `stop` is set, or the hub asks to stop or
        refuses; then close it and wait for the hub, 60 s at most after the source's end, else
        `drain_s` (s). Before, it waits without limit for the hub's first answer or `stop`; a lost
        camera is opened again, without limit. With the first frame it prints one JSON line,
        `filming`.

        Returns the sender's account with `camera` and `ended`: whether the source came to its end.
        Refusal if the hub refuses this camera.
        """
        self.lossless = source.pace == "lossless"
        identity: dict[str, object] = {
            "camera": self.camera,
            "boot_id": self.boot_id,
            "width_px": source.width_px,
            "height_px": source.height_px,
            "fps": source.fps,
            "pace": source.pace,
            "in_step": self.uri.startswith("file:"),
        }
        sender = Sender(self.endpoint, identity, ring_mb=config.ring_mb, lossless=self.lossless)
        self.clock = HubClock(self.endpoint, self.camera)
        ended = False
        try:
            ended = self._film(source, sender, config)
        finally:
            sender.close(ended=ended, drain_s=60.0 if ended else config.drain_s)
            self.clock.close()
        if sender.refused:
            raise Refusal(f"{self.camera}: the hub refused this camera: {sender.refused}")
        return {"camera": self.camera, "ended": ended, **sender.account()}

    def _film(self, source: Source, sender: Sender, config: CaptureConfig) -> bool:
        """Film; whether the source ended."""
        self._await_hub()
        self.begun_ns, silent_s = time.monotonic_ns(), 0.0
        try:
            while not (self.stop.is_set() or sender.stop_asked or sender.refused):
                if not sender.wait_for_room(_READ_S):
                    continue
                try:
                    exposure = source.read(_READ_S)
                    silent_s = 0.0 if exposure or self.lossless else silent_s + _READ_S
                    if silent_s >= config.frozen_s:
                        raise SourceLost(f"no picture for {silent_s:.0f} s")
                except SourceLost as error:
                    source = self._reopen(source, sender, config, str(error))
                    silent_s = 0.0
                    continue
                if exposure is not None:
                    self._send(exposure, sender)
        except SourceEnded:
            return True
        finally:
            source.close()
        return False

    def _await_hub(self) -> None:
        assert self.clock is not None
        since_s, is_logged = time.monotonic(), False
        while not self.stop.is_set() and not self.clock.wait(0.1):
            if not is_logged and time.monotonic() - since_s > _NO_HUB_S:
                is_logged = True
                log.warning("no hub answers yet", extra={"hub": self.endpoint})

    def _reopen(self, source: Source, sender: Sender, config: CaptureConfig, why: str) -> Source:
        """Open the camera again, without a limit of time; logged when lost and when open again."""
        log.warning("camera lost", extra={"camera": self.camera, "reason": why})
        sender.state["state"] = "lost"
        source.close()
        pause_s = config.reopen_s
        while not self.stop.wait(pause_s):
            try:
                source = open_source(self.uri, self.source_config)
            except (Refusal, SourceLost, OSError):
                pause_s = min(2 * pause_s, config.reopen_max_s)
                continue
            log.warning("camera back", extra={"camera": self.camera})
            sender.state["state"] = "live"
            return source
        return source

    def _send(self, exposure: Exposure, sender: Sender) -> None:
        assert self.clock is not None
        estimate = self.clock.estimate
        assert estimate is not None
        is_media = exposure.stamp == "media" or self.uri.startswith("session:")
        missed = exposure.missed
        if self.seq < 0 and not is_media:
            if exposure.raw_ns < self.begun_ns:
                return  # taken before filming began
            missed = 0
        if missed:
            self.seq += missed
            sender.count_dropped("missed by the source", missed)
        self.seq += 1
        if self.seq == missed:
            print_json({"camera": self.camera, "filming": True})
        offset_ns = self.epoch_ns if is_media else estimate.offset_at(exposure.raw_ns)
        clock_error_ns = 0 if is_media else estimate.uncertainty_ns
        sender.state["clock_error_ns"] = clock_error_ns
        sender.put(
            Frame(
                camera=self.camera,
                boot_id=self.boot_id,
                seq=self.seq,
                t_ns=exposure.raw_ns + offset_ns,
                raw_ns=exposure.raw_ns,
                offset_ns=offset_ns,
                uncertainty_ns=exposure.uncertainty_ns + clock_error_ns,
                sync_epoch=estimate.sync_epoch,
                stamp=exposure.stamp,
                width_px=exposure.width_px,
                height_px=exposure.height_px,
                crc32=zlib.crc32(exposure.jpeg),
                trigger=exposure.trigger,
                jpeg=exposure.jpeg,
            )
        )


def node(
    camera: Annotated[str, typer.Option(help="This camera's name.")],
    uri: Annotated[str, typer.Option(help="Where its pictures come from, e.g. v4l2:/dev/video0.")],
    hub: Annotated[str, typer.Option(help="HOST or HOST:PORT of the hub.")] = "127.0.0.1",
    config: Annotated[Path | None, typer.Option(help="TOML file with a [capture] table.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    fps: Annotated[float | None, typer.Option(help="Pictures a second.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated slope.")] = 0,
    realtime: Annotated[bool, typer.Option(help="Play a file at its own rate.")] = False,
    truth: Annotated[
        Path | None, typer.Option(help="Where the simulator writes what happened.")
    ] = None,
    epoch_ns: Annotated[int, typer.Option(help="Hub time of a file's first picture.")] = 0,
    lifeline: Annotated[bool, typer.Option(help="Stop when stdin closes.")] = False,
) -> None:
    """Run one camera; a line on standard output when it films, its exposure count as the last."""
    settings = load_table(config, "capture", CaptureConfig)
    source = SourceConfig(
        size=parse_size(size),
        fps=fps,
        seed=seed,
        realtime=realtime,
        truth=truth,
        jpeg_quality=settings.jpeg_quality,
    )
    camera_node = Node(camera, uri, parse_host(hub, FRAMES_PORT), source, epoch_ns)
    if lifeline:
        stop_with_parent(camera_node.stop, camera_node.begin)
    else:
        camera_node.may_start.set()
    print_json(camera_node.run(camera_node.open(), settings))
