"""`cvsf-capture` run as a user would, for a bench: real processes, real sockets, a real session.

The ports are free ones and the data folder is the bench's own, so that a bench disturbs no running
hub.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvsf.refusal import Refusal

_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What one run said: its JSON lines, the last being the final account."""

    lines: list[dict[str, Any]]

    @property
    def final(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def session(self) -> Path:
        return Path(self.final["session"])


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


def rehearse(words: Sequence[str], data: Path) -> Rehearsal:
    """What `cvsf-capture` with those words said until it ended; a Refusal if it failed."""
    frames, skeletons, web = free_ports(3)
    command = [sys.executable, "-m", "capture", *words, "--headless", "--data", str(data)]
    command += ["--frames-port", str(frames), "--skeletons-port", str(skeletons)]
    command += ["--web-port", str(web)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines or not lines[-1].get("final"):
        said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise Refusal(f"cvsf-capture {' '.join(words)} ended with {done.returncode}: {said[0]}")
    return Rehearsal(lines)
