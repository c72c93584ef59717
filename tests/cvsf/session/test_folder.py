"""The folder of a session that is being recorded."""

import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from cvsf.session.calibrations import CAMERAS
from cvsf.session.folder import SessionFolder
from cvsf.session.reader import MANIFEST, SegmentRecord, read_manifest
from cvsf.session.recovery import RESERVE, BeingRecorded
from cvsf.session.statistics import Tally
from cvsf.system.disk import Storage
from cvsf.system.errors import Refusal
from tests.support.material import make_frame


class Refusing(Storage):
    """A disk that gives no file its new name once it is told so."""

    is_broken = False

    def rename(self, old: Path, new: Path) -> None:
        if self.is_broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().rename(old, new)


TINY = {"detector": "tiny"}


def opened(
    path: Path, storage: Storage | None = None, config: Mapping[str, str] = TINY
) -> SessionFolder:
    return SessionFolder(
        path,
        storage or Storage(),
        recording="frames",
        config=config,
        joint_set="h36m-16",
    )


def seen(seq: int) -> Tally:
    tally = Tally({})
    tally.count(make_frame("cam0", seq))
    return tally


def test_a_session_being_recorded_is_refused_to_another_hub_until_it_is_closed(
    tmp_path: Path,
) -> None:
    first = opened(tmp_path / "s")
    with pytest.raises(BeingRecorded, match="is being recorded by another hub"):
        opened(tmp_path / "s")
    first.note(SegmentRecord(file="seg-000000.mcap", sealed=True), seen(4))
    first.close()
    again = opened(tmp_path / "s", config={"detector": "other"})
    assert again.manifest.cameras["cam0"].boots == {"a": (4, 4)}
    assert again.manifest.config == {"detector": "other"}, "the settings that hold now"
    assert not again.manifest.sealed
    again.close()
    assert read_manifest(tmp_path / "s").sealed


def test_a_session_folder_without_a_recording_is_removed_unless_it_holds_other_files(
    tmp_path: Path,
) -> None:
    folder = opened(tmp_path / "s")
    assert read_manifest(tmp_path / "s").config == {"detector": "tiny"}
    folder.close()
    assert list(tmp_path.iterdir()) == []
    folder = opened(tmp_path / "s")
    (tmp_path / "s" / "notes.txt").write_text("not ours")
    folder.close()
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["notes.txt"]


def test_segments_are_numbered_after_those_that_exist(tmp_path: Path) -> None:
    folder = opened(tmp_path / "s")
    names = [folder.next_part()[0].name for _ in range(2)]
    assert names == ["seg-000000.mcap.part", "seg-000001.mcap.part"]
    (tmp_path / "s" / "seg-000041.mcap.lost").write_bytes(b"")
    folder.note(SegmentRecord(file="seg-000000.mcap", sealed=True), seen(0))
    folder.close()
    again = opened(tmp_path / "s")
    part, about = again.next_part()
    assert part.name == "seg-000042.mcap.part"
    assert about == {"schema": "1", "session": "s", "segment": "42"}
    again.close()


def test_a_folder_that_cannot_be_written_is_refused_and_not_locked(tmp_path: Path) -> None:
    storage = Refusing()
    storage.is_broken = True
    with pytest.raises(Refusal, match=r"Cannot record into .*Input/output error.*--record none"):
        opened(tmp_path / "s", storage)
    opened(tmp_path / "s").close()  # the lock was let go


def test_a_damaged_session_is_refused_and_not_locked(tmp_path: Path) -> None:
    path = tmp_path / "s" / MANIFEST
    path.parent.mkdir()
    path.write_text("{}")
    with pytest.raises(Refusal, match=r"session.json is damaged") as refused:
        opened(tmp_path / "s")
    path.unlink()
    opened(tmp_path / "s").close()  # though what was raised is still looked at
    assert not isinstance(refused.value, BeingRecorded)


def test_a_session_reserves_disk_space_until_it_is_given_up(tmp_path: Path) -> None:
    folder = opened(tmp_path / "s")
    reserve = tmp_path / "s" / RESERVE
    assert reserve.stat().st_blocks * 512 >= 8 << 20
    folder.release_reserve()
    assert not reserve.exists()
    folder.reserve()
    assert reserve.stat().st_size == 8 << 20
    folder.close()


def test_cameras_and_manifest_stay_as_they_were_on_a_disk_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Refusing()
    folder = opened(tmp_path / "s", storage)
    folder.write_cameras(b"first")
    before = (tmp_path / "s" / MANIFEST).read_bytes()
    storage.is_broken = True
    with caplog.at_level(logging.WARNING):
        folder.write_cameras(b"second")
        folder.note(SegmentRecord(file="seg-000000.mcap", sealed=True), seen(0))
    assert [r.message for r in caplog.records] == [
        "cameras.json not written",
        "manifest not written",
    ]
    assert (tmp_path / "s" / CAMERAS).read_bytes() == b"first"
    assert (tmp_path / "s" / MANIFEST).read_bytes() == before
    storage.is_broken = False
    folder.close()
    assert [s.file for s in read_manifest(tmp_path / "s").segments] == ["seg-000000.mcap"]
