"""One log for every room, on standard error: rich on a terminal, JSON lines otherwise.

A line is a change of state, never a frame; what happens often is counted and goes out once a
second as figures.
"""

import json
import logging
import sys

from rich.console import Console
from rich.logging import RichHandler

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
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
        tail = "  ".join(f"{key}={value}" for key, value in _extra(record).items())
        trouble = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{record.getMessage()}  {tail}".rstrip() + trouble


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _PLAIN}


def start_log(level: int = logging.INFO) -> None:
    """Send this process's log to standard error."""
    if sys.stderr.isatty():
        handler: logging.Handler = RichHandler(
            console=Console(stderr=True), show_path=False, rich_tracebacks=False
        )
        handler.setFormatter(_Sentence())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
