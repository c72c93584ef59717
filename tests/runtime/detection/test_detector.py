"""From picture to joints, through generated networks of every published layout."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cvsf.system.errors import Refusal
from runtime.detection.bundle import load_bundle
from runtime.detection.detector import Detector, Person
from runtime.telemetry.stage_timer import StageTimer
from tests.support.generated_bundle import generated

Picture = npt.NDArray[np.uint8]
SIZES = [(1280, 720), (720, 1280), (640, 480), (500, 500), (1920, 300)]
BUNDLES = ["rtmpose-m", "rtmpose-m-halpe26", "rtmo-s", "yolox-movenet", "sim-skier"]


def _detector(folder: Path) -> Detector:
    return Detector(load_bundle(str(folder), folder / "data", offline=True))


def _picture(size: tuple[int, int], shift: float = 0.0) -> tuple[Picture, npt.NDArray[np.float64]]:
    """Spots of red, green and blue on black, and where they are (3, 2)."""
    width, height = size
    shares = np.array([[0.36, 0.22], [0.48, 0.47], [0.6, 0.72]])
    shares[:, 0] += shift
    spots = np.floor(shares * size) + 0.5  # the middle of a pixel
    radius = max(5, round(0.035 * min(size)))
    picture = np.zeros((height, width, 3), np.uint8)
    for channel, (x, y) in zip((2, 1, 0), spots, strict=True):
        plane = np.zeros((height, width), np.uint8)
        cv2.circle(plane, (int(x), int(y)), radius, 255, -1)
        picture[..., channel] = cv2.GaussianBlur(plane, (0, 0), radius / 2)
    return picture, spots


def _off_px(person: Person, spots: npt.NDArray[np.float64]) -> float:
    wanted = spots[np.arange(len(person.keypoints_px)) % 3]
    return float(np.abs(person.keypoints_px - wanted).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BUNDLES)
def test_a_spot_in_the_picture_is_found_at_its_pixel(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    detector = _detector(generated(name, tmp_path))
    stages = StageTimer()
    for k in range(8):
        picture, spots = _picture(size, shift=0.004 * k)
        found = detector.detect({"cam0": picture}, k * 50_000_000, stages)
        assert found, f"nobody seen at instant {k}"
        longest = float(np.ptp(spots, axis=0).max())
        # one pixel of the input is so many of the picture, whole picture or crop
        coarse = max(size) / 640 if name == "rtmo-s" else 1.6 * longest / 128
        assert _off_px(found["cam0"], spots) <= 0.8 * coarse + 0.5
        x0, y0, x1, y1 = found["cam0"].box_px
        assert (spots >= [x0 - 5, y0 - 5]).all()
        assert (spots <= [x1 + 5, y1 + 5]).all()


@pytest.mark.parametrize("name", BUNDLES)
def test_views_of_different_size_in_one_instant_do_not_mix(name: str, tmp_path: Path) -> None:
    detector = _detector(generated(name, tmp_path))
    made = {f"cam{v}": _picture(size) for v, size in enumerate(SIZES[:4])}
    for k in range(4):
        pictures = {camera: picture for camera, (picture, _) in made.items()}
        found = detector.detect(pictures, k * 50_000_000, StageTimer())
        assert list(found) == list(made)
        for camera, (picture, spots) in made.items():
            assert _off_px(found[camera], spots) <= 0.008 * max(picture.shape)


def test_a_person_at_the_edge_is_found_in_a_crop_that_leaves_the_picture(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    picture, spots = _picture((640, 480))
    left = int(spots[0, 0]) - 30
    cut, spots = picture[60:, left:].copy(), spots - [left, 60]
    for k in range(3):
        found = detector.detect({"cam0": cut}, k * 50_000_000, StageTimer())
        assert _off_px(found["cam0"], spots) < 1.5  # a cell of the heatmap is 9 px


def test_the_name_of_a_detector_is_its_bundle_and_a_hash(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    name, _, digest = detector.name.rpartition("-")
    assert name == "sim-skier"
    assert len(digest) == 12
    assert detector.joint_set.name == "h36m-16"


def test_the_same_pictures_give_the_same_people_after_a_reset(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    pictures = [_picture((640, 480), 0.01 * k)[0] for k in range(12)]

    def played() -> list[npt.NDArray[np.float32]]:
        people = []
        for k, picture in enumerate(pictures):
            found = detector.detect({"a": picture, "b": picture}, k * 50_000_000, StageTimer())
            people += [person.keypoints_px for person in found.values()]
        return people

    first = played()
    detector.reset()
    second = played()
    assert len(first) == len(second) == 24
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_after_a_jump_in_time_whole_pictures_are_searched_again(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    picture, _ = _picture((640, 480))
    searched = []
    for t_ms in [*range(0, 2000, 50), 2600, 1000]:
        stages = StageTimer()
        detector.detect({"cam0": picture}, t_ms * 1_000_000, stages)
        stages.end_instant()
        searched.append("detect" in stages.percentiles())
    assert searched[0]
    assert sum(searched[20:40]) <= 3
    assert searched[40]  # 0.6 s later
    assert searched[41]  # and back in time


def test_whole_pictures_are_searched_in_turns(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    looked: list[int] = []

    def run(batch: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        looked.append(len(batch))
        return network(batch)

    assert detector._boxes is not None
    network = detector._boxes.run
    detector._boxes.run = run  # type: ignore[method-assign]
    picture, _ = _picture((640, 480))
    for k in range(80):
        detector.detect({f"cam{v}": picture for v in range(4)}, k * 50_000_000, StageTimer())
        looked.append(0)
    late = looked[len(looked) // 2 :]
    assert sum(late) == pytest.approx(4 * 40 / 10, abs=4)
    assert max(late) == 1


def test_an_empty_picture_holds_nobody(tmp_path: Path) -> None:
    detector = _detector(generated("sim-skier", tmp_path))
    black = np.zeros((480, 640, 3), np.uint8)
    assert detector.detect({"cam0": black}, 0, StageTimer()) == {}
    assert detector.detect({}, 50_000_000, StageTimer()) == {}


def test_a_network_with_other_joints_is_refused(tmp_path: Path) -> None:
    folder = generated("sim-skier", tmp_path, joints={"pose": 17})
    with pytest.raises(
        Refusal, match=r"pose.onnx has outputs \(1, 17, 32, 32\).*\(1, 16, 32, 32\)"
    ):
        _detector(folder)


def test_the_bystander_of_the_real_clip_does_not_steal_the_view(shared_data: Path) -> None:
    clip = shared_data / "pose2sim_balance"
    detector = Detector(load_bundle(str(shared_data / "models"), clip, offline=True))
    lenses = json.loads((clip / "cameras.json").read_text())
    truth = np.load(clip / "movenet_2d_and_triangulated.npz")["tri3d_mm"]
    videos = [cv2.VideoCapture(str(path)) for path in sorted(clip.glob("cam0[12].mp4"))]
    held = []
    for k in range(60):
        pictures = {
            f"cam{v}": np.asarray(video.read()[1], np.uint8) for v, video in enumerate(videos)
        }
        found = detector.detect(pictures, k * 16_666_667, StageTimer())
        for v, lens in enumerate(lenses[:2]):
            in_view = np.array(lens["R"]) @ truth[k, 11:13].mean(0) + lens["t_mm"]
            x, y, w = np.array(lens["K"]) @ in_view
            x0, y0, x1, y1 = found[f"cam{v}"].box_px if f"cam{v}" in found else (0, 0, 0, 0)
            held.append(x0 <= x / w <= x1 and y0 <= y / w <= y1)
    assert np.mean(held) >= 0.95
