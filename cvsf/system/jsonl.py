"""One JSON line on standard output, at once.

Whoever reads slowly loses lines, and whoever has gone loses all of them: neither holds the speaker
up.
"""

import json
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_LAST_WORDS_S = 1.0
_unsaid = bytearray()
"""What is left of one line, so that a reader who wakes up never sees half of it."""


def say(line: Mapping[str, Any], patience_s: float = _LAST_WORDS_S) -> None:
    """Say it, if the one before it is out and there is room in time."""
    if _is_out(patience_s):
        _unsaid.extend(json.dumps(line).encode() + b"\n")
        _is_out(patience_s)


def _is_out(patience_s: float) -> bool:
    with suppress(OSError):  # nobody listens any more
        out = sys.stdout.fileno()
        while _unsaid and select.select([], [out], [], patience_s)[1]:
            del _unsaid[: os.write(out, _unsaid[: select.PIPE_BUF])]
    return not _unsaid
