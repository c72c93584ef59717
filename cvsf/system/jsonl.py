"""JSON lines on standard output, each written at once.

A slow reader loses lines, one that has ended loses all: neither delays the writer.
"""

import json
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_WAIT_S = 1.0  # for a slow reader; a guess, not measured
_unwritten = bytearray()
"""The rest of the last line, so that a slow reader never gets a part of a line."""


def print_json(line: Mapping[str, Any], wait_s: float = _WAIT_S) -> None:
    """Write the map as one JSON line to standard output. A slow reader is waited for, up to
    `wait_s` (s) at a time; the line is dropped if the one before is not yet written whole. Without
    a reader it does nothing; no OSError.
    """
    if _is_flushed(wait_s):
        _unwritten.extend(json.dumps(line).encode() + b"\n")
        _is_flushed(wait_s)


def _is_flushed(wait_s: float) -> bool:
    with suppress(OSError):  # no reader any more
        out = sys.stdout.fileno()
        while _unwritten and select.select([], [out], [], wait_s)[1]:
            del _unwritten[: os.write(out, _unwritten[: select.PIPE_BUF])]
    return not _unwritten
