"""The memory of engines that come and go: apart from what the hub uses all day, and given back.

glibc's own; with another C library nothing is done, and nothing but memory is different.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt
_APART_BYTES = 256 << 10
_TOGETHER_BYTES = 32 << 20  # what glibc comes to by itself where pictures are allocated and freed


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
