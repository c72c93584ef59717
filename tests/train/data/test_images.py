"""The pictures that cameras took at some instants."""

from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from cvsf.session.statistics import Recordable
from tests.support.material import make_frame, make_instant, make_pose, record
from train.data.clip import POSES
from train.data.images import Picture, stills

WIDTH, HEIGHT = 64, 48


def grey(level: int) -> Picture:
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


def levels(found: dict[tuple[int, int], Picture]) -> dict[tuple[int, int], int]:
    """How bright each picture is, to the nearest ten."""
    return {place: round(float(picture.mean()) / 10) * 10 for place, picture in found.items()}


def test_a_session_gives_the_frames_its_instants_were_made_of(tmp_path: Path) -> None:
    messages: list[Recordable] = []
    for seq in range(5):
        for view, camera in enumerate(("cam0", "cam1")):
            jpeg = simplejpeg.encode_jpeg(grey(20 * seq + 100 * view), colorspace="RGB")
            messages.append(make_frame(camera, seq, jpeg))
        messages.append(make_instant(seq))
    poses = [make_pose(index) for index in (1, 2, 4)]  # nobody was seen in the others
    record(tmp_path / "run", [*messages, *poses])
    both = [(row, view) for row in (0, 2) for view in (0, 1)]
    found = stills(tmp_path / "run", ["cam1", "cam0"], both)
    assert levels(found) == {(0, 0): 120, (0, 1): 20, (2, 0): 180, (2, 1): 80}
    assert levels(stills(tmp_path / "run", ["cam0", "cam9"], [(1, 0), (1, 1)])) == {(1, 0): 40}
    assert levels(stills(tmp_path / "run", ["cam1", "cam0"], [(0, 1), (2, 0)])) == {
        (0, 1): 20,
        (2, 0): 180,
    }


def test_a_clip_gives_the_frames_of_its_videos_as_rgb_as_far_as_they_go(tmp_path: Path) -> None:
    np.savez(tmp_path / POSES)
    for camera, frames in (("a", 4), ("b", 2)):
        code = cv2.VideoWriter.fourcc(*"MJPG")
        video = cv2.VideoWriter(str(tmp_path / f"{camera}.avi"), code, 10, (WIDTH, HEIGHT))
        for frame in range(frames):
            picture = grey(0)
            picture[..., 2] = 60 * (frame + 1)  # red, as OpenCV has it
            video.write(picture)
        video.release()
    found = stills(tmp_path, ["b", "a"], [(1, 0), (3, 0), (1, 1), (3, 1)])
    assert set(found) == {(1, 0), (1, 1), (3, 1)}
    red, green, blue = found[3, 1].reshape(-1, 3).mean(0)
    assert red > 200
    assert max(green, blue) < 40
    assert 100 < found[1, 0][..., 0].mean() < 140
    assert set(stills(tmp_path, ["b", "a"], [(2, 1)])) == {(2, 1)}


def test_a_multi_view_file_and_a_folder_of_something_else_have_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"")
    assert stills(tmp_path / "a.npz", ["cam0"], [(0, 0)]) == {}
    assert stills(tmp_path, ["cam0"], [(0, 0)]) == {}
