"""Disks that fail as disks do: full, broken for a while or for good, or gone dark in mid-air."""

import errno
import os
import random
from collections.abc import Sequence
from pathlib import Path

from cvsf.system.disk import Bytes, Storage


class FailingStorage(Storage):
    """Refuses operations number `first` to `first + times - 1`."""

    def __init__(self, first: int, times: int, code: int = errno.ENOSPC) -> None:
        self.operations = 0
        self._refused = range(first, first + times)
        self._code = code

    def _count(self) -> None:
        self.operations += 1
        if self.operations - 1 in self._refused:
            raise OSError(self._code, os.strerror(self._code))

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        try:
            self._count()
        except OSError:
            os.write(descriptor, b"".join(parts)[: len(parts[0]) + 20])  # torn, as a full disk does
            raise
        return super().write(descriptor, parts)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._count()  # and no real wait: this disk is only as durable as it is asked to be

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)

    def sync_folder(self, folder: Path) -> None:
        self._count()


class PowerCut(BaseException):
    """The machine went dark."""


class Mortal(Storage):
    """Goes dark at operation `last`; `cut` then leaves unsynced bytes kept, torn or gone."""

    def __init__(self, last: int) -> None:
        self.operations = 0
        self._last = last
        self._paths: dict[int, Path] = {}
        self._synced: dict[Path, int] = {}  # bytes certain, by the name they were created under
        self._moves: list[tuple[Path, Path | None]] = []  # since the folder was last synced
        self._created: list[Path] = []

    def _count(self) -> None:
        if self.operations == self._last:
            raise PowerCut
        self.operations += 1

    def create(self, path: Path) -> int:
        self._count()
        descriptor = super().create(path)
        self._paths[descriptor] = path
        self._synced[path] = 0
        self._created.append(path)
        return descriptor

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        self._count()
        return super().write(descriptor, parts)

    def truncate(self, descriptor: int, size: int) -> None:
        self._count()
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        self._count()
        self._synced[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._paths.pop(descriptor, None)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        backup = new.with_name(f"{len(self._moves)}.old")
        if new.exists():
            os.link(new, backup)
            self._synced[backup] = self._synced.get(new, 0)
        super().rename(old, new)
        self._synced[new] = self._synced.pop(old)
        self._moves.append((new, backup if backup.exists() else None))
        self._created = [new if path == old else path for path in self._created]

    def sync_folder(self, folder: Path) -> None:
        self._count()
        for _, backup in self._moves:
            if backup is not None:
                backup.unlink()
        self._moves.clear()
        self._created = [path for path in self._created if path.parent != folder]

    def cut(self, rng: random.Random, keep: str) -> None:
        """Leave on the disk what a power cut may leave there."""
        for path, certain in self._synced.items():
            if path.exists() and keep != "all":
                size = path.stat().st_size
                left = certain if keep == "none" else rng.randint(min(certain, size), size)
                os.truncate(path, left)
                if keep == "torn" and left > certain:
                    with path.open("r+b") as file:  # a block that never arrived reads as zeros
                        file.seek(certain)
                        file.write(bytes(min(left - certain, 100)))
        if keep == "none":
            for new, backup in reversed(self._moves):
                if backup is not None:
                    backup.replace(new)
            for path in self._created:
                if path not in [new for new, backup in self._moves if backup]:
                    path.unlink(missing_ok=True)
        for backup in {backup for _, backup in self._moves if backup}:
            backup.unlink(missing_ok=True)
