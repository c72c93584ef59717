"""Writing to a disk that takes few bytes, none, or fails."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cvsf.system.disk import Bytes, Storage, replace_file, write_all
from tests.support.disks import FailingStorage


class Slow(Storage):
    """Takes at most so many bytes at once."""

    def __init__(self, most: int) -> None:
        self.most = most

    def write(self, descriptor: int, parts: Sequence[Bytes]) -> int:
        return os.write(descriptor, b"".join(parts)[: self.most])


@pytest.mark.parametrize("most", [1, 4, 7, 100])
def test_every_byte_is_written_however_few_the_disk_takes_at_once(
    tmp_path: Path, most: int
) -> None:
    storage = Slow(most)
    descriptor = storage.create(tmp_path / "file")
    write_all(storage, descriptor, [b"first ", bytearray(b"second "), memoryview(b"third")])
    storage.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"first second third"


def test_a_disk_that_takes_no_bytes_is_an_error_and_not_an_endless_loop(tmp_path: Path) -> None:
    storage = Slow(0)
    descriptor = storage.create(tmp_path / "file")
    with pytest.raises(OSError, match="the disk accepted no bytes") as error:
        write_all(storage, descriptor, [b"bytes"])
    storage.close(descriptor)
    assert error.value.errno == errno.EIO


def test_a_file_is_replaced_whole_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.new").write_bytes(b"left by a power cut")
    for content in (b"one", b"", b"three"):
        replace_file(Storage(), path, content)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_failure_at_any_operation_leaves_the_old_or_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    left = []
    for first in range(5):  # create, write, sync, rename, sync of the folder
        path.write_bytes(b"old")
        with pytest.raises(OSError, match="No space left"):
            replace_file(FailingStorage(first, times=1), path, b"new")
        left.append(path.read_bytes())
    assert left == [b"old"] * 4 + [b"new"]


def test_a_file_that_exists_is_not_created_once_more(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(FileExistsError):
        Storage().create(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_a_file_cut_back_is_appended_to_at_its_new_end(tmp_path: Path) -> None:
    storage = Storage()
    descriptor = storage.create(tmp_path / "file")
    write_all(storage, descriptor, [b"0123456789"])
    storage.truncate(descriptor, 4)
    write_all(storage, descriptor, [b"x"])
    storage.close(descriptor)
    assert (tmp_path / "file").read_bytes() == b"0123x"


def test_the_space_of_a_disk_is_free_bytes_of_all_bytes(tmp_path: Path) -> None:
    free, total = Storage().space(tmp_path)
    assert 0 <= free <= total
    assert total > 1 << 20
