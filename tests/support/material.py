"""Messages and sessions to test with: plain ones, to be changed in what a test is about."""

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mcap.reader import make_reader

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.session.mcap_records import frame_topic
from cvsf.session.reader import Manifest, SessionReader, read_manifest
from cvsf.session.statistics import Recordable
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import joint_set

JOINTS = len(joint_set("h36m-16"))
PERIOD_NS = 50_000_000
START_NS = 1_000_000_000


def make_frame(
    camera: str = "cam0", seq: int = 0, jpeg: bytes = b"\xff\xd8 picture", **changes: Any
) -> Frame:
    """Frame `seq` of a camera at 20 Hz, in a boot called a."""
    frame = Frame(
        camera=camera,
        boot_id="a",
        seq=seq,
        t_ns=START_NS + seq * PERIOD_NS,
        raw_ns=seq * PERIOD_NS,
        offset_ns=START_NS,
        uncertainty_ns=40_000 + seq,
        sync_epoch=0,
        stamp="simulated",
        width_px=640,
        height_px=480,
        crc32=zlib.crc32(jpeg),
        jpeg=jpeg,
    )
    return replace(frame, **changes)


def make_instant(index: int, cameras: Sequence[str] = ("cam0", "cam1")) -> Instant:
    return Instant(
        index=index,
        t_ns=START_NS + index * PERIOD_NS,
        frames=dict.fromkeys(cameras, ("a", index)),
        expected=tuple(cameras),
        spread_ns=1000,
    )


def make_pose(index: int, cameras: Sequence[str] = ("cam0", "cam1")) -> MultiviewPose:
    rng = np.random.default_rng(index)
    views = len(cameras)
    return MultiviewPose(
        t_ns=START_NS + index * PERIOD_NS,
        instant=index,
        cameras=tuple(cameras),
        image_px=np.full((views, 2), 640, np.float32),
        keypoints_px=rng.random((views, JOINTS, 2), np.float32) * 480,
        confidence=rng.random((views, JOINTS), np.float32),
        detector="tiny-0123456789ab",
    )


def random_pose(random: np.random.Generator, views: int = 3) -> MultiviewPose:
    """Keypoints anywhere in the pictures, all of confidence 0.9."""
    return MultiviewPose(
        t_ns=0,
        instant=0,
        cameras=tuple(f"cam{view}" for view in range(views)),
        image_px=np.full((views, 2), 640, np.float32),
        keypoints_px=random.uniform(100, 500, (views, JOINTS, 2)).astype(np.float32),
        confidence=np.full((views, JOINTS), 0.9, np.float32),
    )


def make_skeleton(instant: int, **changes: Any) -> Skeleton:
    rng = np.random.default_rng(instant)
    skeleton = Skeleton(
        t_ns=START_NS + instant * PERIOD_NS,
        uncertainty_ns=1000,
        instant=instant,
        engine="starter-1",
        joints=rng.random((JOINTS, 3), np.float32),
        confidence=rng.random(JOINTS, np.float32),
        views=("cam0", "cam1"),
        measured=True,
    )
    return replace(skeleton, **changes)


def same(a: object, b: object) -> bool:
    """Whether two messages are equal, arrays bit by bit."""
    assert type(a) is type(b)
    for name in getattr(type(a), "__slots__"):  # noqa: B009 the attribute is the dataclass's own
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, np.ndarray):
            if one.dtype != other.dtype or not np.array_equal(one, other):
                return False
        elif one != other:
            return False
    return True


def read_all(reader: SessionReader) -> dict[str, list[Recordable]]:
    found: dict[str, list[Recordable]] = {
        "instant": list(reader.instants()),
        "pose": list(reader.poses()),
        "skeleton": list(reader.skeletons()),
    }
    return found | {camera: list(reader.frames(camera)) for camera in reader.cameras}


def stream_of(message: Recordable) -> str:
    return message.camera if isinstance(message, Frame) else message.kind


def record(folder: Path, messages: Sequence[Recordable], **options: Any) -> Manifest:
    """The manifest of a session of those messages, sealed."""
    writer = SessionWriter(folder, **options)
    for message in messages:
        writer.write(message)
    assert writer.close() == 0
    return read_manifest(folder)


def short_session(frames: int = 40, size: int = 3000) -> list[Recordable]:
    rng = random.Random(frames)
    messages: list[Recordable] = []
    for index in range(frames):
        for camera in ("cam0", "cam1"):
            messages.append(make_frame(camera, index, b"\xff\xd8" + rng.randbytes(size)))
        messages += [make_instant(index), make_pose(index), make_skeleton(index)]
    return messages


def assert_complete(folder: Path, messages: Sequence[Recordable]) -> None:
    reader = SessionReader(folder)
    found = read_all(reader)
    for stream in {stream_of(m) for m in messages}:
        sent = [m for m in messages if stream_of(m) == stream]
        assert len(sent) == len(found[stream]), stream
        assert all(same(a, b) for a, b in zip(sent, found[stream], strict=True))
        assert len(sent) == sum(topic_counts(folder, stream)), "recorded twice"
    assert reader.damaged == 0
    assert all(reader.verify().values())


def topic_counts(folder: Path, stream: str) -> Iterator[int]:
    """Messages of the stream in each segment, as the plain reader finds them."""
    topic = frame_topic(stream) if stream.startswith("cam") else f"/{stream}"
    for segment in read_manifest(folder).segments:
        with (folder / segment.file).open("rb") as file:
            reader = make_reader(file, validate_crcs=True)
            count = sum(1 for _ in reader.iter_messages(topics=[topic]))
        assert count == segment.counts.get(topic, 0)
        yield count


def assert_nothing_false(
    folder: Path, messages: Sequence[Recordable]
) -> dict[tuple[str, int], Frame]:
    """Every frame read was sent, bit by bit; by camera and seq."""
    sent = {(m.camera, m.seq): m for m in messages if isinstance(m, Frame)}
    found = {(f.camera, f.seq): f for f in SessionReader(folder).frames()}
    assert all(same(frame, sent[key]) for key, frame in found.items())
    return found
