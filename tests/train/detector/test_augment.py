"""Altered pictures, whose joints are altered with them."""

from pathlib import Path

import numpy as np
import torch

from cvsf.skeleton import H36M_16
from train.detector.augment import (
    _colour_matrix,
    _crop_matrix,
    _rows,
    _warped,
    box_batches,
    pose_batches,
)
from train.detector.networks import BOX_STRIDE, POSE_INPUT_PX
from train.detector.pictures import read_pictures


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


def test_a_mirrored_crop_has_its_joints_where_the_picture_has_them(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    thorax = pictures.joints[0, H36M_16.index("thorax")]
    rng = np.random.default_rng(0)
    for mirrored in (False, True):
        matrix = _crop_matrix(rng, mirrored=mirrored)
        assert bool(np.linalg.det(matrix[:, :2]) < 0) == mirrored
        warped = _warped(pictures.crops[0], matrix, (POSE_INPUT_PX, POSE_INPUT_PX))
        before = np.round(thorax - 0.5).astype(int)
        x, y = np.round(matrix[:, :2] @ thorax + matrix[:, 2] - 0.5).astype(int)
        apart = warped[y, x].astype(int) - pictures.crops[0][before[1], before[0]]
        assert np.abs(apart).max() < 40  # the colour of its disc


def test_boxes_are_where_the_altered_pictures_show_them(drawn: Path) -> None:
    pictures = read_pictures(drawn, range(1))
    image, centres, sizes = next(box_batches(pictures, np.random.default_rng(1), 8))
    assert image.shape == (8, 3, 120, 160)
    assert centres.shape == sizes.shape == (8, 2)
    assert ((sizes > 0) & (sizes < 1)).all()
    cells = np.array([160, 120]) / BOX_STRIDE
    assert ((centres > 0) & (centres < torch.from_numpy(cells))).all()


def test_the_same_seed_alters_the_same_pictures_and_every_picture_comes_in_turn(
    drawn: Path,
) -> None:
    pictures = read_pictures(drawn, range(1))
    one, again = (next(pose_batches(pictures, np.random.default_rng(2), 12)) for _ in range(2))
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    rows = _rows(12, np.random.default_rng(2), 5)
    drawn_rows = np.concatenate([next(rows) for _ in range(12)])
    assert np.bincount(drawn_rows).tolist() == [5] * 12


def test_a_change_of_colour_leaves_grey_nearly_grey() -> None:
    matrix = _colour_matrix(np.random.default_rng(5))
    grey = matrix @ np.full(3, 128.0)
    assert np.ptp(grey) < 0.3 * 128
