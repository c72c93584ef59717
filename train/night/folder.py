"""One night's folder: its lock, its steps and what each of them left behind.

A step is done when its product is there, whole; so the next night goes on from one that was killed.
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
from cvsf.system.shutdown import die_with_starter
from train.night.session_selection import REPORT

log = logging.getLogger(__name__)

_LOCK, _PROGRESS, PLAN = ".lock", "progress.json", "plan.json"
_PATIENCE_S = 5.0
"""For the processes of a night that was killed a moment ago to go."""
_TRIES = 3
"""Begins of one step, after which the night gives up instead of failing for ever."""
_ENDING_S = 120.0
_ON_LOOPBACK = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""For torchrun, which otherwise listens on every address (train.distributed)."""


class GivenUp(Exception):
    """A step failed too often, or refused: the night ends with this reason."""


class Stopped(Exception):
    """The night was asked to stop; the next one goes on."""


@contextmanager
def held(nights: Path) -> Iterator[int]:
    """The descriptor of the lock, held by this process and every one that inherits it."""
    try:
        nights.mkdir(parents=True, exist_ok=True)
        lock = (nights / _LOCK).open("w")
    except OSError as error:
        raise Refusal(
            f"Nothing can be written to {nights} ({error.strerror}): make it writable, or choose "
            "another place with --data."
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
                        f"another cvsf nightly is at work in {nights}; wait until it has ended"
                    ) from None
                time.sleep(0.1)
        yield lock.fileno()


class Night:
    """The folder of a night that is under way."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self._lock = folder, lock
        self._storage = Storage()
        try:
            progress = self.read(_PROGRESS)
        except GivenUp as reason:  # it only counts
            log.warning("night's progress is not known", extra={"reason": str(reason)})
            progress = {}
        self.began: str = progress.get("began") or now()
        self.steps: list[dict[str, Any]] = progress.get("steps", [])
        self._tries: dict[str, int] = progress.get("tries", {})

    @property
    def id(self) -> str:
        """When it began, as its folder is named."""
        return self.folder.name

    def read(self, name: str) -> dict[str, Any]:
        """One of its files; empty where it is not there."""
        try:
            found = json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise GivenUp(f"{self.folder / name} cannot be read ({error})") from error
        return found if isinstance(found, dict) else {}

    def write(self, name: str, content: object) -> None:
        """One of its files, whole or not at all."""
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        replace_file(self._storage, self.folder / name, text.encode())

    @contextmanager
    def step(self, name: str, stop: threading.Event | None = None) -> Iterator[None]:
        """Note how often a step was begun and how long it took; Stopped if asked before it."""
        if stop is not None and stop.is_set():
            raise Stopped
        self._tries[name] = self._tries.get(name, 0) + 1
        if self._tries[name] > _TRIES:
            raise GivenUp(f"the step {name} did not end in {_TRIES} tries")
        self._note(name)
        log.info("night's step begins", extra={"night": self.id, "step": name})
        began_s = time.monotonic()
        try:
            yield
        except Stopped:
            self._tries[name] = 0
            self._note(None)
            raise
        self.steps.append({"step": name, "seconds": round(time.monotonic() - began_s, 1)})
        self._note(None)

    def _note(self, under_way: str | None) -> None:
        self.write(
            _PROGRESS,
            {
                "began": self.began,
                "steps": self.steps,
                "under_way": under_way,
                "tries": self._tries,
            },
        )

    def run(self, words: Sequence[str], stop: threading.Event) -> None:
        """A process of the night's own, to its end; GivenUp with its message if it refused.

        It dies with this one, and holds the lock for as long as it lives.
        """
        with TemporaryFile("w+", errors="replace") as errors:
            process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=os.environ | _ON_LOOPBACK,
                pass_fds=(self._lock,),
                preexec_fn=die_with_starter,
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
    """The folder of a night that begins now."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder, again = nights / stamp, 1
    while folder.exists():
        again += 1
        folder = nights / f"{stamp}-{again}"
    return folder


def unfinished(nights: Path) -> Path | None:
    """The night that was begun and has come to no verdict."""
    open_ones = [
        path.parent
        for path in sorted(nights.glob(f"*/{PLAN}"))
        if not (path.parent / REPORT).is_file()
    ]
    return open_ones[-1] if open_ones else None


def training_command(processes: int) -> list[str]:
    """How `cvsf train` is started, by itself or once for each of several GPUs."""
    if processes == 1:
        return command("training")
    meeting = ["--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *meeting]
    return [*torchrun, "--nproc-per-node", str(processes), *command("training")[1:]]


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _last_line(errors: IO[str]) -> str:
    errors.seek(0)
    lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
    plain = [line for line in lines if not line.startswith("{")]
    return (plain or lines or ["training ended without a word"])[-1]
