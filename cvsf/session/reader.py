"""A recorded session: its manifest, and a reader of its messages.

Damage is counted and costs at most one chunk; data with a wrong CRC are never returned.
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from cvsf.messages import Frame, Instant, Message, MultiviewPose, Skeleton, from_header, unpack
from cvsf.session.mcap_records import EVENT, INSTANT, POSE, SKELETON, frame_topic, topic_camera
from cvsf.session.mcap_scan import Recorded, Scan, split_frame
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

SCHEMA = 1
MANIFEST = "session.json"
_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_READ_BYTES = 1 << 20  # a guess, not measured

Mode = Literal["frames", "poses", "none"]


class FrameRange(BaseModel):
    """The frames of one run of a node in a segment."""

    boot_id: str
    first: int
    last: int
    frames: int = 0
    missing: int = 0  # between first and last, and since the previous segment
    gaps: list[tuple[int, int]] = []  # first and last missing seq


class CameraSync(BaseModel):
    """The uncertainty of a camera's clock during a segment."""

    worst_uncertainty_ns: int = 0
    epoch: int = 0  # at the end; it changes when a clock stepped
    stamp: str = ""


class Lost(BaseModel):
    """The parts of a segment that recovery lost."""

    chunks: int = 0  # offsets at which intact chunks end
    bytes: int = 0


class SegmentRecord(BaseModel):
    """One file of the session."""

    file: str
    sha256: str | None = None
    bytes: int = 0
    counts: dict[str, int] = {}  # messages by channel
    ranges: dict[str, list[FrameRange]] = {}  # by camera
    sync: dict[str, CameraSync] = {}
    first_ns: int | None = None
    last_ns: int | None = None
    last_instant: int = -1  # highest index
    sealed: bool = False
    recovered: bool = False  # after the hub was killed
    lost: Lost | None = None
    ended: str = ""  # the reason: rotation, closed, paused, or an error of the disk


class CameraRecord(BaseModel):
    """A camera, and per run of its node the first and last frame recorded."""

    width_px: int
    height_px: int
    boots: dict[str, tuple[int, int]] = {}


class Manifest(BaseModel):
    """`session.json`: the session's description and its files."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    name: str
    started: str  # UTC
    recording: Mode
    cameras: dict[str, CameraRecord] = {}
    config: dict[str, Any] = {}
    joint_set: str = ""
    detectors: list[str] = []
    engines: list[str] = []
    segments: list[SegmentRecord] = []
    sealed: bool = False

    model_config = {"populate_by_name": True}

    def count(self, topic: str) -> int:
        """How many messages the whole session has in a channel; 0 in an unknown one."""
        return sum(segment.counts.get(topic, 0) for segment in self.segments)

    @property
    def frames(self) -> int:
        """How many frames of all cameras its segments have, without the open one."""
        return sum(self.count(frame_topic(camera)) for camera in self.cameras)

    @property
    def instants(self) -> int:
        """How many instants its segments have, without the open one."""
        return self.count(INSTANT)

    @property
    def duration_s(self) -> float:
        """Seconds from the earliest to the latest message by exposure; 0 without messages."""
        first = [s.first_ns for s in self.segments if s.first_ns is not None]
        last = [s.last_ns for s in self.segments if s.last_ns is not None]
        return (max(last) - min(first)) / 1e9 if first and last else 0.0

    def dump(self) -> bytes:
        """The bytes of `session.json`: indented JSON in UTF-8; nothing is written."""
        return self.model_dump_json(indent=1, by_alias=True).encode()


def session_folder(data: Path, run: str | None = None, now: datetime | None = None) -> Path:
    """The path for a new session, DATA/sessions/2026-11-22T14-03-11Z-RUN (UTC), with `-2` etc. if
    it exists; not made. Refusal of a name over 64 or with others than letters, digits, `_-.`.
    """
    if run is not None and not _RUN_NAME.fullmatch(run):
        raise Refusal(
            f"Run name is {run!r}: use up to 64 letters, digits, '_', '-' or '.',"
            " beginning with a letter or digit."
        )
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H-%M-%SZ")
    name = f"{stamp}-{run}" if run else stamp
    folder, again = data / "sessions" / name, 1
    while folder.exists():
        again += 1
        folder = data / "sessions" / f"{name}-{again}"
    return folder


def read_manifest(folder: Path) -> Manifest:
    """The manifest, sealed or not; Refusal if it is missing, damaged or of a newer schema."""
    path = folder / MANIFEST
    try:
        text = path.read_bytes()
    except OSError:
        raise Refusal(
            f"{folder} is not a session: it has no readable {MANIFEST};"
            " cvsf sessions lists the sessions."
        ) from None
    if (found := _schema_version(text)) > SCHEMA:
        raise Refusal(
            f"{folder} has session schema {found}, this cvsf reads up to {SCHEMA}: update cvsf."
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Refusal(f"{path} is damaged: {place}: {first['msg']}.") from None


def _schema_version(text: bytes) -> int:
    """The manifest's schema version, read before all else; 0 if it has none."""
    try:
        version = json.loads(text)["schema"]
    except (ValueError, TypeError, KeyError):
        return 0
    return version if isinstance(version, int) else 0


class SessionReader:
    """A sealed session, read in the order of writing; at most one chunk is in memory."""

    def __init__(self, path: Path | str, validate_crcs: bool = True) -> None:
        given = Path(path)
        self.path = given.parent if given.name == MANIFEST else given
        self.manifest = read_manifest(self.path)
        if not self.manifest.sealed:
            raise Refusal(
                f"{self.path} is not sealed: it is being recorded, or its hub was killed;"
                " stop the hub, or run cvsf sessions --recover."
            )
        self._validate = validate_crcs
        self._damage: set[tuple[str, int | str]] = set()
        for part in sorted(self.path.glob("*.part")):
            log.warning("open segment skipped", extra={"file": str(part)})

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self.manifest.cameras)

    @property
    def damaged(self) -> int:
        """How many damaged places reading has found up to now; 0 before it."""
        return len(self._damage)

    def instants(self) -> Iterator[Instant]:
        """The readable instants as written, read as it advances; others count in `damaged`."""
        yield from self._read(Instant, INSTANT)

    def poses(self) -> Iterator[MultiviewPose]:
        """Readable 2D poses (px) as written, read as it advances; others count in `damaged`."""
        yield from self._read(MultiviewPose, POSE)

    def skeletons(self) -> Iterator[Skeleton]:
        """The readable skeletons as written, read as it advances; others count in `damaged`."""
        yield from self._read(Skeleton, SKELETON)

    def frames(self, camera: str | None = None) -> Iterator[Frame]:
        """Frames of one camera, or all (None), as written; without those whose seq did not grow."""
        topic = None if camera is None else frame_topic(camera)
        seen: dict[tuple[str, str], int] = {}
        for file, message in self._messages(topic):
            frame = self._decode(file, message, Frame)
            if frame is not None and frame.seq > seen.get((frame.camera, frame.boot_id), -1):
                seen[frame.camera, frame.boot_id] = frame.seq
                yield frame

    def events(self) -> Iterator[dict[str, Any]]:
        """Readable events as maps, as written, read lazily; others count in `damaged`."""
        for file, message in self._messages(EVENT):
            try:
                yield unpack(message.message, trusted=True)
            except ValueError as error:
                self._note(file, f"event {message.t_ns}", str(error))

    def verify(self) -> dict[str, bool]:
        """For each sealed segment, by file name: is its sha256 unchanged; False if unreadable."""
        return {
            s.file: s.sha256 is not None and file_sha256(self.path / s.file) == s.sha256
            for s in self.manifest.segments
            if s.sealed
        }

    def _read(self, kind: type[Message], topic: str) -> Iterator[Message]:
        for file, message in self._messages(topic):
            if (decoded := self._decode(file, message, kind)) is not None:
                yield decoded

    def _decode(self, file: str, message: Recorded, kind: type[Message]) -> Message | None:
        header, jpeg = message.message, memoryview(b"")
        try:
            if kind is Frame:
                header, jpeg = split_frame(message.message)
            return from_header(kind, unpack(header, trusted=True), bytes(jpeg))
        except ValueError as error:
            self._note(file, f"{message.topic} {message.t_ns}", str(error))
            return None

    def _messages(self, topic: str | None) -> Iterator[tuple[str, Recorded]]:
        """Messages of one channel, or of all cameras, through all sealed segments."""

        def wanted(found: str) -> bool:
            return found == topic if topic is not None else topic_camera(found) is not None

        for segment in self.manifest.segments:
            if not segment.sealed:
                log.warning("unsealed segment skipped", extra={"file": segment.file})
                continue
            scan = Scan(self.path / segment.file, validate_crcs=self._validate)
            count = 0
            try:
                for message in scan.messages(wanted):
                    count += 1
                    yield segment.file, message
            except OSError as error:
                self._note(segment.file, "read", str(error))
                continue
            for offset in scan.damaged:
                self._note(segment.file, offset, "bytes changed since they were written")
            expected = sum(n for found, n in segment.counts.items() if wanted(found))
            if count < expected and not scan.damaged:
                self._note(
                    segment.file, topic or "frames", f"{expected - count} messages are missing"
                )

    def _note(self, file: str, place: int | str, reason: str) -> None:
        if not any(file == known for known, _ in self._damage):
            log.warning(
                "segment is damaged",
                extra={"file": str(self.path / file), "at": place, "reason": reason},
            )
        self._damage.add((file, place))


def file_sha256(path: Path) -> str | None:
    """The sha256 (hexadecimal) of a file's bytes; None if it cannot be read or is missing."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
