"""The small 2D network: its targets, its pictures, its training and what it exports."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.detector.augment import pose_batches
from train.detector.heatmap import gaussians, peaks
from train.detector.pictures import KEPT_PX, box_of, crop, read_pictures, shots, shrink
from train.detector.train_detector import train_detector

JOINTS = len(H36M_16)
FIGURE = {
    "hip": (0, 0), "rhip": (-1, 0), "rknee": (-1.5, 4), "rankle": (-1.5, 8), "lhip": (1, 0),
    "lknee": (1.5, 4), "lankle": (1.5, 8), "spine": (0, -2.5), "thorax": (0, -5), "head": (0, -7.5),
    "lshoulder": (1.8, -5), "lelbow": (4, -4), "lwrist": (5, -2), "rshoulder": (-1.8, -5),
    "relbow": (-4, -4), "rwrist": (-5, -2),
}  # fmt: skip


def _figures(folder: Path, seeds: range, frames: int = 6, views: int = 2) -> None:
    """Drawn figures in the simulator's layout: a disc of its own colour on every joint."""
    hues = cv2.applyColorMap(
        np.linspace(0, 255, JOINTS).astype(np.uint8)[:, None], cv2.COLORMAP_HSV
    )[:, 0]
    for seed in seeds:
        rng, home = np.random.default_rng(seed), folder / f"seed-{seed:06d}"
        home.mkdir(parents=True)
        shape = np.array([FIGURE[j] for j in H36M_16.joints])
        scale = rng.uniform(6, 10, (frames, views, 1, 1))
        centre = rng.uniform([230, 180], [410, 300], (frames, views, 1, 2))
        truth = shape * scale + rng.normal(0, 2, (frames, views, JOINTS, 2)) + centre
        for frame, view in np.ndindex(frames, views):
            picture = np.full((480, 640, 3), rng.integers(190, 240), np.uint8)
            points = [tuple(round(float(c) - 0.5) for c in p) for p in truth[frame, view]]
            for a, b in H36M_16.bones:
                cv2.line(picture, points[a], points[b], (60, 60, 60), 4)
            for point, hue in zip(points, hues, strict=True):
                cv2.circle(picture, point, 7, hue.tolist(), -1)
            cv2.imwrite(str(home / f"cam{view}-{frame:05d}.jpg"), picture)
        np.savez(
            home / "truth.npz",
            truth_px=truth.astype(np.float32),
            confidence=np.ones(truth.shape[:3], np.float32),
            joint_names=np.array(H36M_16.joints),
            image_px=np.array([640, 480]),
        )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    _figures(folder, range(6))
    _figures(folder, range(90, 92))
    return folder


def test_a_joint_put_into_a_heatmap_is_read_from_it_again() -> None:
    cells = torch.rand(4, JOINTS, 2) * 20 + 6
    found, confidence = peaks(gaussians(cells, 32, 32), reach=4)
    assert float((found - cells).abs().max()) < 0.05
    assert float(confidence.min()) > 0.85


def test_a_joint_outside_the_crop_leaves_little_in_the_heatmap() -> None:
    cells = torch.tensor([[[-4.0, 10.0], [40.0, 10.0]]])
    assert float(gaussians(cells, 32, 32).max()) < 0.05


def test_pictures_are_cropped_where_the_truth_says(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    assert len(pictures) == 12
    middle: Array = box_of(pictures.joints)[:, :2]
    assert np.abs(middle - KEPT_PX / 2).max() < 0.01
    colour = {i: pictures.crops[0][tuple(pictures.joints[0, i].astype(int)[::-1])] for i in (3, 9)}
    assert np.abs(colour[3].astype(int) - colour[9]).max() > 60


def test_a_crop_beyond_the_edge_is_black_there() -> None:
    white = np.full((40, 60, 3), 255, np.uint8)
    part = crop(white, np.array([-20.0, 0.0]), 40.0, 40)
    assert part[:, :19].max() == 0
    assert part[:, 21:].min() == 255


def test_a_picture_of_another_shape_is_letterboxed() -> None:
    small, scale, (left, top) = shrink(np.full((720, 1280, 3), 255, np.uint8), smooth=True)
    assert (small.shape, scale, left, top) == ((120, 160, 3), 0.125, 0, 15)
    assert small[:15].max() == 0
    assert small[15:105].min() == 255


def test_altered_pictures_keep_the_joints_where_they_are(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    image, cells = next(pose_batches(pictures, np.random.default_rng(3), 12))
    assert image.shape == (12, 3, 128, 128)
    assert 0 <= float(image.min()) < float(image.max()) <= 1
    at = ((cells + 0.5) * 4).long().clamp(0, 127)
    spread = [
        float(
            picture[:, y, x].max() - picture[:, y, x].min()
        )  # a joint's disc is coloured, snow is not
        for picture, joints in zip(image, at, strict=True)
        for x, y in joints
    ]
    assert np.median(spread) > 0.25


def test_training_learns_says_how_well_and_exports_what_takes_any_batch(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_detector(
        pictures=drawn,
        out=tmp_path,
        minutes=0.25,
        seeds="0:6",
        held_out="90:92",
        as_json=True,
    )
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["held_out"]
    assert figures["pictures"] == len(list(shots(drawn, range(90, 92))))
    assert figures["box_found_share"] > 0.7
    assert figures["pck_0_1"] > 0.6
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["held_out"]["pck_0_05"] == figures["pck_0_05"]
    assert manifest["detector"]["bytes"] + manifest["pose"]["bytes"] <= 3e6
    session = onnxruntime.InferenceSession(tmp_path / "pose.onnx")
    image = np.zeros((5, 3, 128, 128), np.float32)
    (heatmaps,) = session.run(["heatmaps"], {"image": image})
    assert heatmaps.shape == (5, JOINTS, 32, 32)
    assert 0 <= heatmaps.min() <= heatmaps.max() <= 1


def test_a_training_goes_on_from_earlier_weights_or_says_they_are_missing(
    drawn: Path, tmp_path: Path
) -> None:
    with pytest.raises(Refusal, match="weights"):
        train_detector(pictures=drawn, out=tmp_path / "b", start_from=tmp_path / "nowhere")


def test_slopes_to_be_scored_on_are_never_learned_from(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="apart"):
        train_detector(pictures=drawn, out=tmp_path / "c", seeds="0:6", held_out="5:7")


def test_slopes_that_benches_draw_are_refused(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="benches"):
        train_detector(pictures=drawn, out=tmp_path / "e", seeds="1000000:1000100")


def test_a_malformed_span_is_refused_with_an_example(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="FIRST:END"):
        train_detector(pictures=drawn, out=tmp_path / "d", seeds="all")
