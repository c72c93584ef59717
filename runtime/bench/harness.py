"""`cvsf-capture` run as a user would, for a bench: real processes, real sockets, a real session.

The ports are free ones and the data folder is the bench's own, so that a bench disturbs no running
hub.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from cvsf.system.errors import Refusal
from cvsf.system.processes import command

_PATIENCE_S = 600.0  # a guess, not measured


@dataclass(frozen=True, slots=True)
class CaptureRun:
    """The JSON lines of one run; the last one is the final report."""

    lines: list[dict[str, Any]]

    @property
    def final(self) -> dict[str, Any]:
        """The last line of `cvsf-capture`, with the final counts; IndexError if there is none."""
        return self.lines[-1]

    @property
    def session(self) -> Path:
        """The folder of the session that was recorded; TypeError if the run recorded none."""
        return Path(self.final["session"])


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of loopback that are free now, in no order.

    They are not kept reserved, so another process may take one.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


def run_capture(words: Sequence[str], data: Path) -> CaptureRun:
    """Run `cvsf-capture` with those arguments to its end; blocks until then.

    Ports are chosen here, and `data` is its data folder. Refusal if it fails.
    """
    with running_capture(words, data) as running:
        return running.until_the_end()


class Running:
    """A running `cvsf-capture`, and its processes."""

    def __init__(self, words: Sequence[str], data: Path, output: IO[str], errors: IO[str]) -> None:
        frames, self.skeletons_port, web = free_ports(3)
        line = [*command("supervisor"), *words, "--headless", "--data", str(data)]
        line += ["--frames-port", str(frames), "--skeletons-port", str(self.skeletons_port)]
        line += ["--web-port", str(web)]
        self.words, self.web_port = words, web
        self._output, self._errors = output, errors
        self.process = subprocess.Popen(line, stdout=output, stderr=errors)

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines that the program has printed so far; a line that is not complete is left
        out.
        """
        self._output.seek(0)
        whole = self._output.read().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait_for(self, happened: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Block until `happened` is true of the lines so far.

        Refusal if the program ends before, or after 600 s; then it is killed.
        """
        until_s = time.monotonic() + _PATIENCE_S
        while not happened(self.lines()):
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.process.kill()
                raise self._failed()
            time.sleep(0.1)

    def camera_process(self, camera: str) -> int:
        """The process id of the node of that camera, a child of `cvsf-capture`; Refusal if none
        runs.
        """
        return self._child("node", camera)

    def hub_process(self) -> int:
        """The process id of the hub, a child of `cvsf-capture`; Refusal if none runs."""
        return self._child("hub")

    def _child(self, *named: str) -> int:
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_text().split("\0")
                if parent == self.process.pid and set(named) <= set(words):
                    return int(folder.name)
        raise Refusal(
            f"no process runs as {' '.join(named)}; cvsf-capture has ended or restarts it"
        )

    def end(self) -> None:
        """Ask the program to end (SIGTERM), and block until it has.

        `subprocess.TimeoutExpired` after 600 s; its exit status is not tested.
        """
        self.process.terminate()
        self.process.wait(_PATIENCE_S)

    def until_the_end(self) -> CaptureRun:
        """Block until the program has ended by itself; returns all its lines.

        Refusal if it failed or its last line is not the final one; `subprocess.TimeoutExpired`
        after 600 s.
        """
        self.process.wait(_PATIENCE_S)
        lines = self.lines()
        if self.process.returncode or not lines or not lines[-1].get("final"):
            raise self._failed()
        return CaptureRun(lines)

    def _failed(self) -> Refusal:
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["nothing"]
        return Refusal(
            f"cvsf-capture {' '.join(self.words)} ended with {self.process.poll()}: {last[0]}"
        )


@contextmanager
def running_capture(words: Sequence[str], data: Path) -> Iterator[Running]:
    """Start `cvsf-capture` with those arguments on free ports, and give it to the `with` block.

    It is not waited for. At the end of the block it is killed if it still runs.
    """
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        running = Running(words, data, output, errors)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.process.kill()
            running.process.wait()
