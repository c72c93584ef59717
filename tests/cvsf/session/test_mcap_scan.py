"""A scan of one file of a session: whole, cut off, or damaged."""

from pathlib import Path

import pytest

from cvsf.session.mcap_records import FRAME_HEAD, INSTANT, frame_topic
from cvsf.session.mcap_scan import Scan, split_frame
from cvsf.session.segment import SegmentWriter
from cvsf.system.disk import Storage

CAMERAS, FRAMES = ("cam0", "cam1"), 4


def written(path: Path) -> list[int]:
    """Frames of two cameras in turn, then an instant; the size of the file after each frame."""
    writer = SegmentWriter(Storage(), path, {"session": "test"})
    sizes = []
    for seq in range(FRAMES):
        for camera in CAMERAS:
            writer.add_frame(camera, seq, seq, b"header", b"picture %d" % seq)
            sizes.append(writer.offset)
    writer.add(INSTANT, FRAMES, b"an instant")
    writer.finish()
    writer.close()
    return sizes


def test_a_whole_file_gives_every_message_in_its_order(tmp_path: Path) -> None:
    written(tmp_path / "seg.mcap")
    scan = Scan(tmp_path / "seg.mcap")
    found = [(each.topic, each.t_ns) for each in scan.messages()]
    frames = [(frame_topic(camera), seq) for seq in range(FRAMES) for camera in CAMERAS]
    assert found == [*frames, (INSTANT, FRAMES)]
    assert (scan.damaged, scan.lost_bytes, scan.torn) == ([], 0, False)


def test_only_the_wanted_topics_are_given(tmp_path: Path) -> None:
    written(tmp_path / "seg.mcap")
    wanted = frame_topic("cam1")
    found = list(Scan(tmp_path / "seg.mcap").messages(lambda topic: topic == wanted))
    assert [(each.topic, each.t_ns) for each in found] == [(wanted, n) for n in range(FRAMES)]


@pytest.mark.parametrize("way", ["cut", "limited"])
def test_a_file_that_ends_within_a_frame_is_torn_and_gives_the_frames_before(
    tmp_path: Path, way: str
) -> None:
    path = tmp_path / "seg.mcap"
    end = written(path)[4] + 30
    if way == "cut":
        path.write_bytes(path.read_bytes()[:end])
    scan = Scan(path, limit=end if way == "limited" else None)
    assert len(list(scan.messages())) == 5
    assert scan.torn
    assert 30 <= scan.lost_bytes < 100  # with the index of the last whole frame


def test_a_frame_with_a_wrong_checksum_is_lost_alone_and_given_without_validation(
    tmp_path: Path,
) -> None:
    path = tmp_path / "seg.mcap"
    written(path)
    content = path.read_bytes()
    at = content.index(b"picture 2")
    path.write_bytes(content[:at] + b"PICTURE 2" + content[at + 9 :])
    scan = Scan(path)
    assert len(list(scan.messages())) == 2 * FRAMES
    assert len(scan.damaged) == 1
    assert not scan.torn
    assert len(list(Scan(path, validate_crcs=False).messages())) == 2 * FRAMES + 1


def test_a_frame_is_split_into_header_and_picture_and_a_short_one_is_refused() -> None:
    message = memoryview(FRAME_HEAD.pack(6) + b"header" + b"picture")
    header, picture = split_frame(message)
    assert (bytes(header), bytes(picture)) == (b"header", b"picture")
    with pytest.raises(ValueError, match="a frame is shorter than its length field"):
        split_frame(message[:3])
    with pytest.raises(ValueError, match="a frame's header is longer than the frame"):
        split_frame(message[:9])
