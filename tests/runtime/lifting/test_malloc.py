"""Memory of engines that come and go, as glibc itself counts it."""

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.lifting.malloc import separate_pages, trim

MIB = 1 << 20


class _Info(ctypes.Structure):
    """struct mallinfo2 of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


class Libc:
    """malloc itself, without numpy between."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(None)
        self._c.malloc.restype, self._c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        self._c.free.argtypes = [ctypes.c_void_p]
        self._c.mallinfo2.restype = _Info
        self._held: list[int] = []

    def take(self, size: int) -> int:
        self._held.append(self._c.malloc(size))
        return self._held[-1]

    def free(self, block: int) -> None:
        self._held.remove(block)
        self._c.free(block)

    def free_all(self) -> None:
        for block in [*self._held]:
            self.free(block)

    def mapped(self) -> int:
        """Blocks that have pages of their own."""
        return int(self._c.mallinfo2().hblks)


@pytest.fixture
def libc() -> Iterator[Libc]:
    if not hasattr(ctypes.CDLL(None), "mallinfo2"):
        pytest.skip("another C library than glibc from 2.33 on: nothing is done there")
    libc = Libc()
    yield libc
    libc.free_all()


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_large_block_has_pages_of_its_own_while_an_engine_loads_only(
    libc: Libc,
) -> None:
    with separate_pages():
        pass
    before = libc.mapped()
    libc.take(24 * MIB)
    assert libc.mapped() == before
    with separate_pages():
        for _ in range(64):  # what earlier tests freed is filled up first
            if libc.mapped() == before:
                libc.take(24 * MIB)
        blocks = [libc.take(24 * MIB) for _ in range(4)]
        assert libc.mapped() == before + 5
    for block in blocks:
        libc.free(block)
    assert libc.mapped() == before + 1
    for _ in range(4):
        libc.take(24 * MIB)
    assert libc.mapped() == before + 1


def test_the_usual_setting_is_restored_after_a_failed_load(libc: Libc) -> None:
    with pytest.raises(RuntimeError), separate_pages():
        raise RuntimeError
    before = libc.mapped()
    libc.take(24 * MIB)
    assert libc.mapped() == before


def test_memory_of_closed_engines_is_returned_to_the_system(libc: Libc) -> None:
    with separate_pages():
        pass  # from here on blocks of 3 MiB lie together, and a freed one stays for later
    blocks = [libc.take(3 * MIB) for _ in range(20)]
    for block in blocks:
        ctypes.memset(block, 1, 3 * MIB)
    libc.take(MIB)
    held = resident()
    for block in blocks:
        libc.free(block)
    trim()
    assert held - resident() > 48 * MIB
