"""Recovery of the session of a killed hub: open files are copied, chunk by chunk, to sealed ones.

Nothing is appended to an open file; what is lost is counted in the manifest.
"""

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton, from_header, unpack
from cvsf.session.mcap_records import INSTANT, POSE, SKELETON, topic_camera
from cvsf.session.mcap_scan import Recorded, Scan, split_frame
from cvsf.session.reader import (
    MANIFEST,
    CameraRecord,
    Lost,
    Manifest,
    SegmentRecord,
    file_sha256,
    read_manifest,
)
from cvsf.session.segment import SegmentWriter
from cvsf.session.statistics import Recordable, Source, Tally
from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

LOCK = ".lock"
RESERVE = ".reserve"
_KINDS: dict[str, Any] = {INSTANT: Instant, POSE: MultiviewPose, SKELETON: Skeleton}


class BeingRecorded(Refusal):
    """The session is being recorded by a running hub."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the session against other writers while the block runs, without waiting: BeingRecorded,
    a Refusal, if it is locked already. The lock is a file in the folder, which stays; OSError if it
    cannot be opened. When the process dies, the lock ends.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BeingRecorded(
                f"{folder} is being recorded by another hub; stop it, or wait until it has ended."
            ) from None
        yield
    finally:
        os.close(descriptor)


def recover(folder: Path, storage: Storage | None = None) -> Manifest:
    """Seal the open files of an interrupted session, replace its manifest, and return it. `sealed`
    in it stays False if an open file could not be sealed. BeingRecorded if a hub is recording,
    another Refusal if the manifest cannot be read, OSError if the disk fails.
    """
    with locked(folder):
        return recover_locked(folder, storage or Storage(), seal=True)


def recover_all(sessions: Path) -> list[Path]:
    """Recover each session directly in the folder that is not sealed and not being recorded;
    returns their folders, by name, so oldest first. One that fails is logged and left out; no
    folder gives an empty list.
    """
    recovered = []
    for manifest in sorted(sessions.glob(f"*/{MANIFEST}")):
        try:
            if not read_manifest(manifest.parent).sealed:
                recover(manifest.parent)
                recovered.append(manifest.parent)
        except BeingRecorded:
            continue
        except (Refusal, OSError) as error:
            log.warning("session not recovered", extra={"reason": str(error)})
    return recovered


def recover_locked(folder: Path, storage: Storage, *, seal: bool) -> Manifest:
    """As `recover`, while the caller holds the lock. With `seal` False the manifest stays unsealed,
    so that recording can continue. The reserve and unfinished copies are removed, and sealed files
    missing in the manifest are added to it. Refusal of an unreadable manifest, OSError.
    """
    manifest = read_manifest(folder)
    storage.remove(folder / RESERVE)
    for stale in sorted(folder.glob("*.recovering")):
        storage.remove(stale)
    known = {segment.file for segment in manifest.segments if segment.sealed}
    for path in sorted(folder.glob("seg-*.mcap")):
        if path.name not in known:
            add_segment(manifest, *_sealed_segment(path, manifest))
    is_complete = recover_parts(manifest, folder, storage)
    manifest.sealed = seal and is_complete
    replace_file(storage, folder / MANIFEST, manifest.dump())
    return manifest


def recover_parts(manifest: Manifest, folder: Path, storage: Storage) -> bool:
    """Replace every open file by a sealed copy and add it to the manifest, in memory only. An open
    file beside its sealed one is removed. A file that fails is logged and stays open; False if
    there was one.
    """
    failed = 0
    limits = {s.file: s.bytes for s in manifest.segments if not s.sealed}
    for part in sorted(folder.glob("seg-*.mcap.part")):
        name = part.with_suffix("").name
        try:
            if (folder / name).exists():  # sealed already, and not yet removed
                storage.remove(part)
                continue
            record, tally = recover_part(storage, part, last_seqs(manifest), limits.get(name))
        except OSError as error:
            failed += 1
            log.error("segment not recovered", extra={"file": str(part), "reason": str(error)})
            continue
        add_segment(manifest, record, tally)
        log.warning("segment recovered", extra={"file": name, "lost": str(record.lost)})
    return failed == 0


def recover_part(
    storage: Storage, part: Path, last: Mapping[Source, int], limit: int | None = None
) -> tuple[SegmentRecord, Tally]:
    """Copy the intact messages of an open `.mcap.part`, up to byte `limit` (None: its end), to a
    sealed `.mcap`, then remove it; returns the entry and statistics for the manifest. `last` is the
    highest earlier seq of each source. OSError if the disk fails; then the open file is still
    there, unchanged.
    """
    final = part.with_suffix("")
    fresh = final.with_suffix(".mcap.recovering")
    storage.remove(fresh)
    scan, tally = Scan(part, limit=limit), Tally(last)
    writer = SegmentWriter(storage, fresh, {"session": part.parent.name, "recovered": "yes"})
    try:
        for message in scan.messages():
            _copy(writer, message, tally)
        writer.finish()
    finally:
        writer.close()
    storage.rename(fresh, final)
    storage.sync_folder(part.parent)
    storage.remove(part)
    made = {"sha256": writer.sha256, "bytes": writer.offset, "counts": writer.counts}
    return _recovered(final, scan, tally, **made), tally


def add_segment(manifest: Manifest, record: SegmentRecord, tally: Tally) -> None:
    """Put a segment into the manifest, in place of one of the same file name, and add its cameras,
    engines and detectors. The segments stay sorted by file name. Only in memory; nothing is
    written. The joint set is set only if there was none.
    """
    manifest.segments = [s for s in manifest.segments if s.file != record.file] + [record]
    manifest.segments.sort(key=lambda segment: segment.file)
    manifest.engines = sorted({*manifest.engines, *tally.engines} - {""})
    manifest.detectors = sorted({*manifest.detectors, *tally.detectors} - {""})
    manifest.joint_set = manifest.joint_set or next(iter(sorted(tally.joint_sets)), "")
    for (camera, boot_id), found in tally.ranges.items():
        width_px, height_px = tally.sizes[camera]
        entry = manifest.cameras.setdefault(
            camera, CameraRecord(width_px=width_px, height_px=height_px)
        )
        first, last = entry.boots.get(boot_id, (found.first, found.last))
        entry.boots[boot_id] = (min(first, found.first), max(last, found.last))


def last_seqs(manifest: Manifest) -> dict[Source, int]:
    """The highest recorded seq of every source (camera, boot id) in the manifest; empty without
    frames.
    """
    return {
        (camera, boot_id): last
        for camera, record in manifest.cameras.items()
        for boot_id, (_, last) in record.boots.items()
    }


def _sealed_segment(path: Path, manifest: Manifest) -> tuple[SegmentRecord, Tally]:
    """The entry of a sealed file that is missing in the manifest."""
    scan, tally, counts = Scan(path), Tally(last_seqs(manifest)), dict[str, int]()
    for message in scan.messages():
        counts[message.topic] = counts.get(message.topic, 0) + 1
        _count(tally, message)
    found = {"sha256": file_sha256(path), "bytes": path.stat().st_size, "counts": counts}
    return _recovered(path, scan, tally, **found), tally


def _recovered(path: Path, scan: Scan, tally: Tally, **found: Any) -> SegmentRecord:
    """The manifest's entry of a file that its hub did not seal."""
    return tally.record(
        file=path.name,
        sealed=True,
        recovered=True,
        lost=Lost(chunks=len(scan.damaged), bytes=scan.lost_bytes),
        ended="interrupted",
        **found,
    )


def _copy(writer: SegmentWriter, message: Recorded, tally: Tally) -> None:
    decoded = _count(tally, message)
    camera = topic_camera(message.topic)
    if camera is None:
        writer.add(message.topic, message.t_ns, message.message)
        return
    header, jpeg = split_frame(message.message)
    seq = decoded.seq if isinstance(decoded, Frame) else 0
    writer.add_frame(camera, seq, message.t_ns, bytes(header), jpeg)


def _count(tally: Tally, message: Recorded) -> Recordable | None:
    """Count and return the message; None for an event, or a message this version cannot decode."""
    frame = topic_camera(message.topic) is not None
    kind = Frame if frame else _KINDS.get(message.topic)
    if kind is None:
        return None
    try:
        header = split_frame(message.message)[0] if frame else message.message
        found: Recordable = from_header(kind, unpack(header, trusted=True))
    except ValueError:
        return None
    tally.count(found)
    return found
