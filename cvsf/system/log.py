"""The log of every process, on standard error: rich on a terminal, JSON lines otherwise.

A line is a change of state, never a frame; frequent events are counted and published once a second
as stats. A process that draws a live table also logs the lines of the other processes, so that one
console owns the terminal.
"""

import json
import logging
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import IO

from rich.console import Console
from rich.logging import RichHandler

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """A record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON: level, logger (`from`), event, an exception as `error`,
        and the extra fields. A value that JSON lacks is written as text.
        """
        fields = {
            "level": record.levelname.lower(),
            "from": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields | _extra(record), default=str)


class _Sentence(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = _extra(record)
        error = extra.pop("error", None)  # of another process: the exception as text
        error = self.formatException(record.exc_info) if record.exc_info else error
        tail = "  ".join(f"{key}={value}" for key, value in extra.items())
        return f"{record.getMessage()}  {tail}".rstrip() + (f"\n{error}" if error else "")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def start_log(level: int = logging.INFO) -> None:
    """Send this process's log to standard error: as text for people if that is a terminal, else as
    JSON lines. Handlers that were set before are removed; lines below `level` are dropped.
    """
    if sys.stderr.isatty():
        handler: logging.Handler = RichHandler(
            console=Console(stderr=True), show_path=False, rich_tracebacks=False
        )
        handler.setFormatter(_Sentence())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def terminal() -> tuple[Console, AbstractContextManager[object]]:
    """The console that a live table shares with the log, and the lock to hold while drawing. If the
    log does not go to a terminal: a new console, and a lock that does nothing.

    rich mixes the output of two threads on one console; the lock of the log prevents it.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, RichHandler) and handler.lock:
            return handler.console, handler.lock
    return Console(), nullcontext()


def relay(line: str) -> None:
    """Log a JSON log line of another process here, with its level and logger; any other line is
    logged as a warning, an empty one not at all.
    """
    if not line.strip():
        return
    try:
        fields = json.loads(line)
        level = logging.getLevelNamesMapping()[fields.pop("level").upper()]
        name, event = fields.pop("from"), fields.pop("event")
        logging.getLogger(name).log(level, "%s", event, extra=fields)
    except (ValueError, TypeError, AttributeError, KeyError):
        log.warning("%s", line.rstrip())


def relay_all(lines: IO[bytes]) -> threading.Thread:
    """Start a daemon thread that relays the standard error of another process line by line, until
    it ends, and then closes it. Returns the running thread at once.
    """

    def read() -> None:
        with lines:
            for line in lines:
                relay(line.decode(errors="replace"))

    thread = threading.Thread(target=read, name="relay", daemon=True)
    thread.start()
    return thread
