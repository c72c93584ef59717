"""Endless batches of augmented pictures: rotated, scaled, mirrored, recoloured, blurred, covered.

What is altered in the picture is altered in the joints; the room for it was kept around every crop.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.shapes import Picture, Real
from cvsf.skeleton import H36M_16
from train.detector.networks import BOX_INPUT_PX, BOX_STRIDE, POSE_INPUT_PX, POSE_STRIDE
from train.detector.pictures import KEPT_MARGIN, KEPT_PX, Pictures

Generator = np.random.Generator

_TURN_DEG = 30.0
_SCALE = (0.8, 1.25)
_SHIFT = 0.1
_NOISE_LEVELS = 6.0
_LUMA = np.array([0.299, 0.587, 0.114])


def pose_batches(
    pictures: Pictures, rng: Generator, size: int
) -> Iterator[tuple[Float[Tensor, "B 3 h w"], Float[Tensor, "B J 2"]]]:
    """Pictures (B, 3, h, w) in 0..1 and the joints (B, J, 2) in heatmap cells, rotated, scaled,
    shifted, mirrored and altered, for ever. A mirrored picture has left and right joints exchanged;
    joints may lie outside. `rng` alone determines them.
    """
    for rows in _rows(len(pictures), rng, size):
        images = np.empty((size, POSE_INPUT_PX, POSE_INPUT_PX, 3), np.uint8)
        joints = np.empty((size, len(H36M_16), 2), np.float32)
        for k, row in enumerate(rows):
            mirrored = bool(rng.random() < 0.5)
            matrix = _crop_matrix(rng, mirrored=mirrored)
            images[k] = _warped(pictures.crops[row], matrix, (POSE_INPUT_PX, POSE_INPUT_PX))
            _alter(images[k], rng)
            order = list(H36M_16.mirrored) if mirrored else slice(None)
            joints[k] = pictures.joints[row][order] @ matrix[:, :2].T + matrix[:, 2]
        yield _tensor(images, rng), torch.from_numpy(joints / POSE_STRIDE - 0.5)


def box_batches(
    pictures: Pictures, rng: Generator, size: int
) -> Iterator[tuple[Float[Tensor, "B 3 h w"], Float[Tensor, "B 2"], Float[Tensor, "B 2"]]]:
    """Pictures (B, 3, h, w) in 0..1, the boxes' centres (B, 2) in cells and sizes (B, 2) as shares
    of the picture, scaled, shifted, mirrored and altered, for ever. A box may lie partly outside.
    `rng` alone determines them.
    """
    input_px = np.array(BOX_INPUT_PX)
    for rows in _rows(len(pictures), rng, size):
        images = np.empty((size, *pictures.small.shape[1:]), np.uint8)
        centres, sizes = np.empty((size, 2)), np.empty((size, 2))
        for k, row in enumerate(rows):
            matrix = _frame_matrix(rng, mirrored=bool(rng.random() < 0.5))
            images[k] = _warped(pictures.small[row], matrix, BOX_INPUT_PX)
            _alter(images[k], rng)
            box = pictures.boxes[row].reshape(2, 2) * input_px
            centres[k] = matrix[:, :2] @ box[0] + matrix[:, 2]
            sizes[k] = box[1] * matrix[1, 1] / input_px
        cells = torch.from_numpy((centres / BOX_STRIDE - 0.5).astype(np.float32))
        yield _tensor(images, rng), cells, torch.from_numpy(sizes.astype(np.float32))


def _rows(count: int, rng: Generator, size: int) -> Iterator[npt.NDArray[np.int64]]:
    order = np.empty(0, np.int64)
    while True:
        while len(order) < size:
            order = np.concatenate([order, rng.permutation(count)])
        yield order[:size]
        order = order[size:]


def _crop_matrix(rng: Generator, *, mirrored: bool) -> Float[Real, "2 3"]:
    """input_from_kept, (2, 3), in continuous pixels."""
    turn = np.deg2rad(rng.normal(0, _TURN_DEG / 2.5))
    scale = np.exp(rng.uniform(*np.log(_SCALE))) * POSE_INPUT_PX * KEPT_MARGIN / KEPT_PX
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    if mirrored:
        linear[:, 0] *= -1
    centre = POSE_INPUT_PX * (0.5 + rng.uniform(-_SHIFT, _SHIFT, 2))
    return np.column_stack([linear, centre - linear @ [KEPT_PX / 2, KEPT_PX / 2]])


def _frame_matrix(rng: Generator, *, mirrored: bool) -> Float[Real, "2 3"]:
    """input_from_small, (2, 3), without rotation, as a rotated box is another box."""
    size = np.array(BOX_INPUT_PX)
    scale = np.exp(rng.uniform(np.log(0.7), np.log(1.4)))
    linear = np.diag([-scale if mirrored else scale, scale])
    centre = size * (0.5 + rng.uniform(-0.15, 0.15, 2))
    return np.column_stack([linear, centre - linear @ (size / 2)])


def _warped(picture: Picture, matrix: Float[Real, "2 3"], size: tuple[int, int]) -> Picture:
    """The altered picture: cv2 counts from pixel centres, the matrix from pixel corners."""
    by_centres = matrix.copy()
    by_centres[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(
        picture, by_centres, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    ).astype(np.uint8, copy=False)


def _alter(picture: Picture, rng: Generator) -> None:
    """Covers, blurs and recolours one picture in place."""
    if rng.random() < 0.25:
        _cover(picture, rng)
    if rng.random() < 0.3:
        _blur(picture, rng)
    table = np.arange(256) / 255.0
    table = (table ** np.exp(rng.normal(0, 0.25)) - 0.5) * np.exp(rng.normal(0, 0.2)) + 0.5
    table = np.clip((table + rng.normal(0, 0.08)) * 255, 0, 255).astype(np.uint8)
    cv2.LUT(picture, table, dst=picture)
    if rng.random() < 0.4:
        cv2.transform(picture, _colour_matrix(rng), dst=picture)


def _colour_matrix(rng: Generator) -> Float[Real, "3 3"]:
    """A change of hue, saturation and white balance that leaves grey nearly grey."""
    turn, saturation = rng.normal(0, 0.5), np.exp(rng.normal(0, 0.4))
    grey = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -grey[2], grey[1]], [grey[2], 0, -grey[0]], [-grey[1], grey[0], 0]])
    hue = (
        np.cos(turn) * np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * np.outer(grey, grey)
    )
    luma = np.tile(_LUMA, (3, 1))
    balance = np.diag(np.exp(rng.normal(0, 0.06, 3)))
    matrix: Float[Real, "3 3"] = balance @ (luma + saturation * (np.eye(3) - luma)) @ hue
    return matrix


def _cover(picture: Picture, rng: Generator) -> None:
    """Up to three rectangles of one colour, or of another part of the same picture."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(1, 4)):
        w, h = (int(x) for x in rng.uniform(0.05, 0.28, 2) * [width, height])
        x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
        if rng.random() < 0.5:
            u, v = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
            picture[y : y + h, x : x + w] = picture[v : v + h, u : u + w].copy()
        else:
            picture[y : y + h, x : x + w] = rng.integers(0, 256, 3)


def _blur(picture: Picture, rng: Generator) -> None:
    if rng.random() < 0.5:
        cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4), dst=picture)
        return
    kernel = np.zeros((7, 7), np.float32)
    turn, reach = rng.uniform(0, np.pi), rng.uniform(1, 3)
    step = reach * np.array([np.cos(turn), np.sin(turn)])
    a, b = (tuple(round(float(c)) for c in 3 + s * step) for s in (-1, 1))
    cv2.line(kernel, a, b, 1.0)
    cv2.filter2D(picture, -1, kernel / kernel.sum(), dst=picture)


def _tensor(images: npt.NDArray[np.uint8], rng: Generator) -> Tensor:
    """Channels-last floats in 0..1 with noise: one noise picture, shifted, serves all."""
    noise = rng.standard_normal((1, *images.shape[1:]), np.float32) * (_NOISE_LEVELS / 255)
    level = rng.random((len(images), 1, 1, 1), np.float32) ** 2
    bank = np.concatenate(
        [np.roll(noise, int(s), axis=2) for s in rng.integers(0, 97, len(images))]
    )
    batch = np.clip(images.astype(np.float32) / 255 + bank * level, 0, 1)
    return torch.from_numpy(batch).permute(0, 3, 1, 2)
