"""The memory of swapped engines: in pages of its own, and returned to the system.

By glibc's mallopt and malloc_trim; with another C library nothing is done, and only the memory use
differs.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt
_SEPARATE_BYTES = 256 << 10
"""Blocks from this size on get pages of their own while an engine loads; a guess, not measured."""
_DEFAULT_BYTES = 32 << 20
"""The threshold otherwise: the largest that glibc uses by itself (mallopt(3))."""


@contextmanager
def separate_pages() -> Iterator[None]:
    """Give large blocks pages of their own, which are returned when the engine is closed.

    It holds for the whole process, all threads, until the context ends; afterwards thresholds of 32
    MiB hold, not those from before. Nothing is done, or raised, without glibc.
    """
    _set(_MMAP_THRESHOLD, _SEPARATE_BYTES)
    try:
        yield
    finally:
        _set(_MMAP_THRESHOLD, _DEFAULT_BYTES)
        _set(_TRIM_THRESHOLD, 2 * _DEFAULT_BYTES)


def trim() -> None:
    """Return the memory of closed engines to the operating system; does nothing without glibc."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set(which: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(which, value)
