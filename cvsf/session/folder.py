"""The folder of a session being recorded: locked by one process, its manifest replaced as a whole.

Some disk space is reserved at the start and released when the disk is full, so that the session can
be sealed.
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cvsf.session.calibrations import CAMERAS
from cvsf.session.reader import MANIFEST, Manifest, Mode, SegmentRecord
from cvsf.session.recovery import (
    LOCK,
    RESERVE,
    add_segment,
    last_seqs,
    locked,
    recover_locked,
    recover_part,
    recover_parts,
)
from cvsf.session.statistics import Tally
from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

_RESERVE_BYTES = 8 << 20  # a guess, not measured


class SessionFolder:
    """The folder of a new session, or of one that is recovered and continued."""

    def __init__(
        self,
        path: Path,
        storage: Storage,
        *,
        recording: Mode,
        config: Mapping[str, Any],
        joint_set: str,
    ) -> None:
        self.path = path
        self._storage = storage
        self._lock = ExitStack()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(locked(path))
            self.manifest = self._first_manifest(recording, config, joint_set)
        except OSError as error:
            self._lock.close()
            raise Refusal(
                f"Cannot record into {path} ({error.strerror or error}): make it writable,"
                " choose another folder with --data, or use --record none."
            ) from error
        except Refusal:
            self._lock.close()
            raise
        self._number = _next_number(path)
        self.reserve()

    def next_part(self) -> tuple[Path, dict[str, str]]:
        """The path of the next segment while it is open (`seg-000003.mcap.part`), and its metadata
        as a new map of texts: schema, session and segment number. Each call takes the next number,
        which in a continued session follows the highest there; no file is made.
        """
        number, self._number = self._number, self._number + 1
        about = {
            "schema": str(self.manifest.schema_version),
            "session": self.manifest.name,
            "segment": str(number),
        }
        return self.path / f"seg-{number:06d}.mcap.part", about

    def note(self, record: SegmentRecord, tally: Tally) -> None:
        """Add a segment, in place of one of the same name, and its statistics to the manifest, and
        replace `session.json`. A disk error is logged, not raised.
        """
        add_segment(self.manifest, record, tally)
        self._write_manifest()

    def write_cameras(self, content: bytes) -> None:
        """Replace `cameras.json` by `content`, the newest calibration, and wait for the disk. An
        error of it is logged, not raised.
        """
        try:
            replace_file(self._storage, self.path / CAMERAS, content)
        except OSError as error:  # the segments contain it too
            log.warning("cameras.json not written", extra={"reason": str(error)})

    def recover_part(self, part: Path, tally: Tally, size: int) -> None:
        """Replace an open file by a sealed copy of its intact messages up to byte `size`, and note
        it. If the disk fails, this is logged and the file is noted as open; nothing is raised.
        """
        try:
            self.note(*recover_part(self._storage, part, last_seqs(self.manifest), size))
        except OSError as error:
            log.error("segment stays open", extra={"file": str(part), "reason": str(error)})
            name = part.with_suffix("").name
            self.note(SegmentRecord(file=name, bytes=size, ended="disk error"), tally)

    def reserve(self) -> None:
        """Reserve 8 MiB in the file `.reserve`, to be given back when sealing needs room. An error,
        such as a full disk, is ignored.
        """
        with suppress(OSError):  # without a reserve, sealing may fail on a full disk
            self._storage.remove(self.path / RESERVE)
            descriptor = self._storage.create(self.path / RESERVE)
            try:
                self._storage.reserve(descriptor, _RESERVE_BYTES)
            finally:
                self._storage.close(descriptor)

    def release_reserve(self) -> None:
        """Remove the reserved file, so that sealing can use its space; errors are ignored."""
        with suppress(OSError):
            self._storage.remove(self.path / RESERVE)

    def close(self) -> None:
        """Seal open files left in the folder, write the manifest and unlock. `sealed` stays False
        if a file could not be sealed. A session without segments is removed; if other files are in
        its folder, only the manifest and the lock file are. An error of writing the manifest is
        logged.
        """
        self.release_reserve()
        self.manifest.sealed = recover_parts(self.manifest, self.path, self._storage)
        if self.manifest.segments or not self.manifest.sealed:
            self._write_manifest()
        else:
            self._remove_folder()
        self._lock.close()

    def _remove_folder(self) -> None:
        with suppress(OSError):  # a folder with other files stays
            self._storage.remove(self.path / MANIFEST)
            self._storage.remove(self.path / LOCK)
            self.path.rmdir()

    def _first_manifest(
        self, recording: Mode, config: Mapping[str, Any], joint_set: str
    ) -> Manifest:
        if (self.path / MANIFEST).exists():
            manifest = recover_locked(self.path, self._storage, seal=False)
            manifest.recording = recording
            manifest.config = dict(config) or manifest.config  # the settings that hold now
        else:
            manifest = Manifest(
                name=self.path.name,
                started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                recording=recording,
                config=dict(config),
                joint_set=joint_set,
            )
        replace_file(self._storage, self.path / MANIFEST, manifest.dump())
        self._storage.sync_folder(self.path.parent)
        return manifest

    def _write_manifest(self) -> None:
        try:
            replace_file(self._storage, self.path / MANIFEST, self.manifest.dump())
        except OSError as error:  # recovery makes it again from the segments
            log.error("manifest not written", extra={"reason": str(error)})


def _next_number(path: Path) -> int:
    digits = "[0-9]" * 6
    numbers = [int(found.name[4:10]) for found in path.glob(f"seg-{digits}.*")]
    return max(numbers, default=-1) + 1
