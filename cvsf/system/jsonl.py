"""One JSON line on standard output, at once.

A slow reader loses lines, and one that is gone loses all of them: neither delays the writer.
"""

import json
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_PATIENCE_S = 1.0
_unwritten = bytearray()
"""The rest of one line, so that a slow reader never gets half of it."""


def print_json(line: Mapping[str, Any], patience_s: float = _PATIENCE_S) -> None:
    """Print it, if the line before it is out and there is room in time."""
    if _is_out(patience_s):
        _unwritten.extend(json.dumps(line).encode() + b"\n")
        _is_out(patience_s)


def _is_out(patience_s: float) -> bool:
    with suppress(OSError):  # no reader any more
        out = sys.stdout.fileno()
        while _unwritten and select.select([], [out], [], patience_s)[1]:
            del _unwritten[: os.write(out, _unwritten[: select.PIPE_BUF])]
    return not _unwritten
