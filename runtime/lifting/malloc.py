"""Memory of engines that are swapped: kept apart from the hub's other memory, and returned.

By glibc's mallopt and malloc_trim; with another C library nothing is done, and only the memory use
differs.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt
_APART_BYTES = 256 << 10
"""Blocks from this size on get pages of their own while an engine loads; a guess, not measured."""
_TOGETHER_BYTES = 32 << 20
"""The threshold otherwise: the most that glibc itself comes to (mallopt(3))."""


@contextmanager
def apart() -> Iterator[None]:
    """While an engine is loaded its large blocks get pages of their own, which go when it goes."""
    _set(_MMAP_THRESHOLD, _APART_BYTES)
    try:
        yield
    finally:
        _set(_MMAP_THRESHOLD, _TOGETHER_BYTES)
        _set(_TRIM_THRESHOLD, 2 * _TOGETHER_BYTES)


def give_back() -> None:
    """Return to the system what closed engines held."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set(which: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(which, value)
