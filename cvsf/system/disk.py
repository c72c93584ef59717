"""The system calls that write a session, in one object that a test can replace.

Bytes are durable after `sync`, the name of a file after `sync_folder`.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

Bytes = bytes | bytearray | memoryview


class Storage:
    """The real disk; each method is one system call, and any may raise OSError."""

    def create(self, path: Path) -> int:
        """Open a new file for writing; returns its descriptor, which the caller closes.
        FileExistsError if it exists.
        """
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        """Write the parts at the file's position, which is its end while it grows; returns the
        number of bytes written, which may be fewer than given.
        """
        return os.writev(descriptor, parts)

    def reserve(self, descriptor: int, size: int) -> None:
        """Reserve `size` bytes of disk for an open file, from its start; it grows to that size.
        OSError if the disk lacks them.
        """
        os.posix_fallocate(descriptor, 0, size)

    def truncate(self, descriptor: int, size: int) -> None:
        """Set the file's length to `size` bytes and seek to its end; a shorter file is filled with
        zeros.
        """
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)

    def sync(self, descriptor: int) -> None:
        """Return once everything written is on the disk."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Close the file's descriptor."""
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file, in place of one that has the new name. OSError if the disk fails."""
        old.replace(new)

    def remove(self, path: Path) -> None:
        """Remove the file, if it exists."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Wait until creations, renames and removals in the folder are on the disk; the content of
        its files is not synced.
        """
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def space(self, folder: Path) -> tuple[int, int]:
        """(free, total) bytes of the disk that holds the folder; free is what this user may write.
        OSError if it cannot be asked.
        """
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def write_all(storage: Storage, descriptor: int, parts: Sequence[Bytes]) -> None:
    """Write every byte of the parts in order; a partial write is continued. Not synced. OSError if
    the disk fails or accepts no bytes; then some bytes may be written.
    """
    wanted = sum(len(part) for part in parts)
    written = storage.write(descriptor, parts)
    while written < wanted:
        rest = memoryview(b"".join(parts))[written:]
        count = storage.write(descriptor, [rest])
        if count <= 0:
            raise OSError(errno.EIO, "the disk accepted no bytes")
        written += count


def replace_file(storage: Storage, path: Path, content: bytes) -> None:
    """Replace or make the file, with `content`, and wait until it is on the disk; even after a
    power cut it has all old or all new bytes. The folder must exist. OSError if the disk fails; a
    file with `.new` in its name may stay.
    """
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
