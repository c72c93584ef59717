"""What is acknowledged stays, whatever happens to the disk."""

import errno
import os
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from cvsf.session.reader import MANIFEST, SessionReader, read_manifest
from cvsf.session.recovery import recover
from cvsf.session.statistics import Recordable
from cvsf.session.writer import SessionWriter
from cvsf.system.disk import Bytes, Storage
from cvsf.system.errors import Refusal
from tests.support.disks import FailingStorage, Mortal, PowerCut
from tests.support.material import (
    assert_complete,
    assert_nothing_false,
    make_frame,
    record,
    short_session,
)


def test_a_folder_that_cannot_be_written_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="--data"):
        SessionWriter(tmp_path / "file" / "s")

    class ReadOnly(Storage):
        def create(self, path: Path) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.raises(Refusal, match="Read-only file system"):
        SessionWriter(tmp_path / "s", storage=ReadOnly())


def test_a_short_write_is_completed(tmp_path: Path) -> None:
    class Reluctant(Storage):
        def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
            return os.write(descriptor, b"".join(parts)[:1000])

    messages = short_session(10)
    record(tmp_path / "s", messages, storage=Reluctant())
    assert_complete(tmp_path / "s", messages)


def write_stubbornly(
    folder: Path,
    messages: Sequence[Recordable],
    storage: Storage,
    acknowledge: Callable[[SessionWriter], None],
) -> int | None:
    """Record with a sync now and then; what the disk never took, None if it never began."""
    try:
        writer = SessionWriter(folder, storage=storage, segment_bytes=40_000)
    except Refusal:
        return None
    for number, message in enumerate(messages):
        with suppress(OSError):
            writer.write(message)
        if number % 7 == 6:
            with suppress(OSError):
                writer.retry()
                writer.sync()
            acknowledge(writer)
    lost = writer.close()
    acknowledge(writer)
    return lost


def operations_of(tmp_path: Path, messages: Sequence[Recordable]) -> int:
    storage = FailingStorage(first=-1, times=0)
    write_stubbornly(tmp_path / "dry", messages, storage, lambda writer: None)
    return storage.operations


@pytest.mark.parametrize(("code", "times"), [(errno.ENOSPC, 1), (errno.EIO, 2), (errno.EIO, 3)])
def test_an_error_at_any_operation_loses_nothing_once_the_disk_is_back(
    tmp_path: Path, code: int, times: int
) -> None:
    messages = short_session(8)
    for first in range(operations_of(tmp_path, messages)):
        folder = tmp_path / f"at{first}"
        storage = FailingStorage(first, times=times, code=code)
        lost = write_stubbornly(folder, messages, storage, lambda writer: None)
        if lost is None:
            continue
        if not read_manifest(folder).sealed:
            recover(folder)
        assert lost == 0
        assert_complete(folder, messages)


def assert_durable_is_recovered(
    folder: Path, messages: Sequence[Recordable], durable: Mapping[tuple[str, str], int]
) -> None:
    """After recovery every frame read was sent, and each up to the last durable one is there."""
    if not (folder / MANIFEST).exists():
        assert not durable, folder.name
        return
    recover(folder)
    found = assert_nothing_false(folder, messages)
    for (camera, _), last in durable.items():
        assert all((camera, seq) in found for seq in range(last + 1)), folder.name


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fails_for_good_keeps_what_was_acknowledged(tmp_path: Path, code: int) -> None:
    messages = short_session(12)
    for first in range(0, operations_of(tmp_path, messages), 2):
        folder = tmp_path / f"at{first}"
        durable: dict[tuple[str, str], int] = {}
        write_stubbornly(
            folder,
            messages,
            FailingStorage(first, times=10**9, code=code),
            lambda writer, durable=durable: durable.update(writer.durable),  # type: ignore[misc]
        )
        assert_durable_is_recovered(folder, messages, durable)


@pytest.mark.parametrize("keep", ["none", "torn", "all"])
def test_a_power_cut_at_any_operation_takes_nothing_acknowledged(tmp_path: Path, keep: str) -> None:
    messages = short_session(8)
    storage = Mortal(last=10**9)
    write_stubbornly(tmp_path / "dry", messages, storage, lambda writer: None)
    rng = random.Random(0)
    for last in range(storage.operations):
        folder = tmp_path / f"at{last}"
        durable: dict[tuple[str, str], int] = {}
        storage = Mortal(last)
        with pytest.raises(PowerCut):
            write_stubbornly(
                folder,
                messages,
                storage,
                lambda writer, durable=durable: durable.update(writer.durable),  # type: ignore[misc]
            )
        storage.cut(rng, keep)
        assert_durable_is_recovered(folder, messages, durable)


def fill(writer: SessionWriter) -> int:
    """Record until the disk is full; the seq it refused."""
    for seq in range(1000):
        try:
            writer.write(make_frame("cam0", seq, b"x" * 100_000))
        except OSError:
            return seq
        if seq % 10 == 9:
            writer.sync()
    raise AssertionError("the disk never filled")


def test_a_full_disk_keeps_every_acknowledged_frame_readable(small_disk: Path) -> None:
    writer = SessionWriter(small_disk / "s")
    fill(writer)
    acknowledged = writer.durable["cam0", "a"]
    assert acknowledged > 150
    assert writer.close() <= 11
    reader = SessionReader(small_disk / "s")
    assert [f.seq for f in reader.frames()][: acknowledged + 1] == list(range(acknowledged + 1))
    assert reader.damaged == 0


def test_a_full_disk_that_is_emptied_loses_nothing(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 << 20))
    writer = SessionWriter(small_disk / "s")
    last = fill(writer)
    ballast.unlink()
    writer.retry()
    writer.write(make_frame("cam0", last + 1))
    assert writer.close() == 0
    reader = SessionReader(small_disk / "s")
    assert [f.seq for f in reader.frames()] == list(range(last + 2))
    assert len(reader.manifest.segments) >= 2


def test_a_read_only_disk_is_refused(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(Refusal, match="Read-only"):
        SessionWriter(small_disk / "s")
