"""The folder of one night: its lock, its steps and the product of each step.

A step is done when its product is complete, so a killed night is continued by the next.
"""

import fcntl
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal
from cvsf.system.processes import command
from cvsf.system.shutdown import die_with_parent
from train.night.session_selection import REPORT

log = logging.getLogger(__name__)

_LOCK, _PROGRESS, PLAN = ".lock", "progress.json", "plan.json"
_PATIENCE_S = 5.0
"""Wait for processes of a night that was killed a moment ago; a guess, not measured."""
_TRIES = 3
"""Starts of one step, after which the night ends; a guess, not measured."""
_ENDING_S = 120.0  # for training to save a checkpoint; a guess, not measured
_ON_LOOPBACK = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""For torchrun, which else listens on every address (train.distributed)."""


class GivenUp(Exception):
    """A step failed too often, or was refused: the night ends with this reason."""


class Stopped(Exception):
    """The night was asked to stop; the next one continues it."""


@contextmanager
def held(nights: Path) -> Iterator[int]:
    """Hold the lock of the nights while the block runs; gives its file descriptor, for child
    processes. The folder is made. Refusal if another night still runs after 5 s, or the folder
    cannot be written.
    """
    try:
        nights.mkdir(parents=True, exist_ok=True)
        lock = (nights / _LOCK).open("w")
    except OSError as error:
        raise Refusal(
            f"Nothing can be written to {nights} ({error.strerror}): make it writable, or choose "
            "another folder with --data."
        ) from error
    with lock:
        until_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise Refusal(
                        f"another cvsf nightly is running in {nights}; wait until it has ended"
                    ) from None
                time.sleep(0.1)
        yield lock.fileno()


class Night:
    """The folder of a running night."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self._lock = folder, lock
        self._storage = Storage()
        try:
            progress = self.read(_PROGRESS)
        except GivenUp as reason:  # progress only counts
            log.warning("progress of the night is not known", extra={"reason": str(reason)})
            progress = {}
        self.began: str = progress.get("began") or now()
        self.steps: list[dict[str, Any]] = progress.get("steps", [])
        self._tries: dict[str, int] = progress.get("tries", {})

    @property
    def id(self) -> str:
        """The night's name: that of its folder, the time when it began."""
        return self.folder.name

    def read(self, name: str) -> dict[str, Any]:
        """The content of one of the night's JSON files; empty if there is none, or if it is no map.
        GivenUp if it cannot be read or is no JSON.
        """
        try:
            found = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise GivenUp(f"{self.folder / name} cannot be read ({error})") from error
        return found if isinstance(found, dict) else {}

    def write(self, name: str, content: object) -> None:
        """Write one of the night's JSON files, whole or not at all, in place of one that is there.
        ValueError if it holds NaN or infinity, OSError if the disk refuses.
        """
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        replace_file(self._storage, self.folder / name, text.encode())

    @contextmanager
    def step(self, name: str, stop: threading.Event | None = None) -> Iterator[None]:
        """A block that is a step: tries and duration are recorded in the night's folder. Stopped at
        the begin if `stop` is set; GivenUp if it is the fourth try. Stopped from the block resets
        the tries; any other exception leaves this one counted.
        """
        if stop is not None and stop.is_set():
            raise Stopped
        self._tries[name] = self._tries.get(name, 0) + 1
        if self._tries[name] > _TRIES:
            raise GivenUp(f"the step {name} did not end in {_TRIES} tries")
        self._write_progress(name)
        log.info("step of the night begins", extra={"night": self.id, "step": name})
        began_s = time.monotonic()
        try:
            yield
        except Stopped:
            self._tries[name] = 0
            self._write_progress(None)
            raise
        self.steps.append({"step": name, "seconds": round(time.monotonic() - began_s, 1)})
        self._write_progress(None)

    def _write_progress(self, under_way: str | None) -> None:
        self.write(
            _PROGRESS,
            {
                "began": self.began,
                "steps": self.steps,
                "under_way": under_way,
                "tries": self._tries,
            },
        )

    def run(self, arguments: Sequence[str], stop: threading.Event) -> None:
        """Run a child process, which holds the lock too and dies with this one, to its end; it
        blocks, and nothing is shown. GivenUp with the child's last message if it failed. If `stop`
        is set, the child gets SIGTERM and 120 s to end, then is killed, and Stopped is raised.
        """
        with TemporaryFile("w+", errors="replace") as errors:
            process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | _ON_LOOPBACK,
                pass_fds=(self._lock,),
                preexec_fn=die_with_parent,
            )
            try:
                while process.poll() is None and not stop.wait(0.1):
                    pass
                if process.poll() is None:
                    process.terminate()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_ENDING_S)
                    raise Stopped
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            if process.returncode:
                raise GivenUp(f"training ended with {process.returncode}: {_last_line(errors)}")


def begin(nights: Path) -> Path:
    """The path of a folder for a night that begins now, named by the time in UTC, and numbered if
    there is one already; it is not made.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder, again = nights / stamp, 1
    while folder.exists():
        again += 1
        folder = nights / f"{stamp}-{again}"
    return folder


def unfinished(nights: Path) -> Path | None:
    """The newest folder with a plan and without a report, a night which is to be continued; None if
    there is none.
    """
    open_ones = [
        path.parent
        for path in sorted(nights.glob(f"*/{PLAN}"))
        if not (path.parent / REPORT).is_file()
    ]
    return open_ones[-1] if open_ones else None


def training_command(processes: int) -> list[str]:
    """The first words of the command line of `cvsf train`: one process, or several by torchrun on
    loopback. Nothing is started.
    """
    if processes == 1:
        return command("training")
    rendezvous = ["--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *rendezvous]
    return [*torchrun, "--nproc-per-node", str(processes), *command("training")[1:]]


def now() -> str:
    """The present time of this machine as text, to the second: UTC, ISO 8601, "Z" at the end."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    plain = [line for line in lines if not line.startswith("{")]
    return (plain or lines or ["training ended without a message"])[-1]
