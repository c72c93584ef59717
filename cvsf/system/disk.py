"""Every act by which a session reaches the disk, in one small object that a test can replace.

Nothing counts as kept before `sync` returned; a file's name counts only after `sync_folder`.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

Bytes = bytes | bytearray | memoryview


class Storage:
    """The real disk; each method is one system call, and any may raise OSError."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; it must not exist."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        """Append the parts; the number of bytes taken, which may be fewer."""
        return os.writev(descriptor, parts)

    def reserve(self, descriptor: int, size: int) -> None:
        """Claim disk blocks without writing them."""
        os.posix_fallocate(descriptor, 0, size)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut the file to `size` and stand at its end."""
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)

    def sync(self, descriptor: int) -> None:
        """Return once everything written is on the disk."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Give the file its new name, replacing what had it."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return once creations, renames and removals in the folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self, folder: Path) -> tuple[int, int]:
        """(free, total) bytes of the disk that holds the folder."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def write_all(storage: Storage, descriptor: int, parts: Sequence[Bytes]) -> None:
    """Write every byte: a short count raises nothing by itself, so it is checked here."""
    wanted = sum(len(part) for part in parts)
    written = storage.write(descriptor, parts)
    while written < wanted:
        rest = memoryview(b"".join(parts))[written:]
        count = storage.write(descriptor, [rest])
        if count <= 0:
            raise OSError(errno.EIO, "the disk took no bytes")
        written += count


def replace_file(storage: Storage, path: Path, content: bytes) -> None:
    """Put `content` at `path`; after a power cut the old or the new is there, whole."""
    fresh = path.with_name(path.name + ".new")
    storage.remove(fresh)
    descriptor = storage.create(fresh)
    try:
        write_all(storage, descriptor, [content])
        storage.sync(descriptor)
    finally:
        storage.close(descriptor)
    storage.rename(fresh, path)
    storage.sync_folder(path.parent)
