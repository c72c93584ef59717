"""The product as its users start it, to test with: its processes, and what they say."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvsf.session.reader import SessionReader

CAPTURE = [sys.executable, "-m", "capture"]
HUB = [sys.executable, "-m", "cvsf", "hub"]


def free_ports() -> list[str]:
    """Options of cvsf-capture and cvsf hub for three free ports."""
    probes = [socket.socket() for _ in range(3)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    numbers = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return [
        word
        for name, number in zip(("frames", "skeletons", "web"), numbers, strict=True)
        for word in (f"--{name}-port", number)
    ]


class Run:
    """A started process and the JSON lines it has said so far."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_out(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def _read_err(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.said.append(line)

    def ask_to_end(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it had ended."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(20)
        for thread in self._threads:
            thread.join()
        return time.monotonic() - begun

    def children(self, name: str) -> list[int]:
        """Processes of `cvsf NAME` that this one started."""
        return [
            pid
            for pid, parent, command in processes()
            if parent == self.process.pid and f"cvsf\0{name}" in command
        ]


def processes() -> Iterator[tuple[int, int, str]]:
    """(pid, parent, command line) of every process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                yield int(folder.name), parent, (folder / "cmdline").read_text()
            except OSError:
                continue


@contextmanager
def running(words: list[str]) -> Iterator[Run]:
    run = Run(words)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()
        for thread in run._threads:
            thread.join()
        for stream in (run.process.stdout, run.process.stderr):
            if stream:
                stream.close()


def until(happened: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.05)
    return False


def accounted(cameras: dict[str, dict[str, int]]) -> bool:
    return all(
        c["exposed"] == c["recorded"] + c["not_kept"] + c["dropped"] + c["in_ring"]
        for c in cameras.values()
    )


def readable(session: Path) -> Counter[str]:
    """Frames that can really be read from a session, by camera; none is there twice."""
    frames = [(frame.camera, frame.boot_id, frame.seq) for frame in SessionReader(session).frames()]
    assert len(frames) == len(set(frames)), "no frame twice"
    return Counter(camera for camera, _, _ in frames)
