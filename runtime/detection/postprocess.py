"""Decoding of network outputs to boxes and keypoints, in pixels of the input.

Pixels are continuous; (0, 0) is the corner of the first.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from cvsf.shapes import Float, Index, Real
from cvsf.system.errors import Refusal
from runtime.detection.bundle import NetworkManifest
from runtime.detection.network import Batch

_YOLOX_STRIDES = (8, 16, 32)
_NMS_IOU = 0.45
"""IoU of non-maximum suppression; a guess, not measured."""
_MOST_PEOPLE = 32  # a guess, not measured
_SIMCC_SPLIT = 2.0  # bins per pixel (Li et al. 2022)
_REACH_CELLS = 2
"""A keypoint is the weighted mean of the heatmap within so many cells of its peak; a guess, not
measured."""


def boxes(outputs: Sequence[Batch], manifest: NetworkManifest) -> list[Float[Real, "_ 5"]]:
    """Per picture the boxes of people, most confident first; empty where there is nobody.

    A row is x0, y0, x1, y1 in px of the network's input, and confidence. Boxes below the manifest's
    least confidence, not finite or without area are dropped; after NMS at most 32 stay. ValueError
    if the network finds no boxes by its decoding.
    """
    match manifest.decoding:
        case "yolox":
            found = _yolox(outputs[0], manifest)
        case "rtmdet":
            people = np.asarray(outputs[1])[..., None] == 0
            found = list(outputs[0] * people)
        case "centre-map":
            found = _centre_map(outputs[0], outputs[1], manifest)
        case _:
            raise ValueError(f"decoding is {manifest.decoding}, expected one that finds boxes")
    return [_suppressed(each.astype(np.float64), manifest) for each in found]


def joints(
    outputs: Sequence[Batch], manifest: NetworkManifest
) -> tuple[Float[Real, "B J 2"], Float[Real, "B J"]]:
    """One person's keypoints per crop, in px of the network's input, and their confidence, 0 to 1.

    Every joint has a position, also where its confidence is 0. ValueError if the network's decoding
    is not one for keypoints of one person.
    """
    match manifest.decoding:
        case "movenet":
            found = outputs[0][:, 0].astype(np.float64)
            keypoints, confidence = found[..., 1::-1] * manifest.size_px, found[..., 2]
        case "simcc":
            keypoints, confidence = _simcc(outputs[0], outputs[1])
        case "heatmap":
            keypoints, confidence = _heatmap(outputs[0], manifest)
        case _:
            raise ValueError(f"decoding is {manifest.decoding}, expected one that finds joints")
    return keypoints, _confidence(confidence, manifest)


def people(
    outputs: Sequence[Batch], manifest: NetworkManifest
) -> list[tuple[Float[Real, "_ 5"], Float[Real, "_ J 2"], Float[Real, "_ J"]]]:
    """Per picture the boxes (N, 5), joints (N, J, 2) and confidence (N, J) of the people.

    For the outputs of a whole-frame network only. A box is x0, y0, x1, y1 and its confidence; px
    are those of the input, joints have confidence 0 to 1. Most confident first; people below the
    manifest's least confidence are dropped, after NMS at most 32 stay; N is 0 where there is
    nobody.
    """
    found = []
    for dets, keypoints in zip(outputs[0], outputs[1], strict=True):
        kept = _kept(dets.astype(np.float64), manifest)
        body = keypoints[kept].astype(np.float64)
        confidence = _confidence(body[..., 2], manifest)
        found.append((dets[kept].astype(np.float64), body[..., :2] + 0.5, confidence))
    return found


def check(outputs: Sequence[Batch], manifest: NetworkManifest, joint_count: int, name: str) -> None:
    """Check that the outputs for one empty picture have the shapes that the decoding reads.

    Raises Refusal, with `name` (the file), if they have not. Only shapes are tested.
    """
    shapes = [tuple(output.shape) for output in outputs]
    width, height = manifest.size_px
    cells = sum((width // s) * (height // s) for s in _YOLOX_STRIDES)
    maps = shapes[0][2:] if len(shapes[0]) == 4 else (0, 0)
    people = shapes[0][1] if len(shapes[0]) > 1 else 0
    wanted: dict[str, list[tuple[int, ...]]] = {
        "yolox": [(1, cells, 85)],
        "rtmdet": [(1, people, 5), (1, people)],
        "centre-map": [(1, 1, *maps), (1, 2, *maps)],
        "movenet": [(1, 1, joint_count, 3)],
        "simcc": [
            (1, joint_count, int(width * _SIMCC_SPLIT)),
            (1, joint_count, int(height * _SIMCC_SPLIT)),
        ],
        "heatmap": [(1, joint_count, *maps)],
        "rtmo": [(1, people, 5), (1, people, joint_count, 3)],
    }
    if shapes != wanted[manifest.decoding]:
        raise Refusal(
            f"{name} has outputs {', '.join(map(str, shapes))}, decoding {manifest.decoding} "
            f"expects {', '.join(map(str, wanted[manifest.decoding]))}"
        )


def _confidence(confidence: Real, manifest: NetworkManifest) -> Real:
    return np.clip(confidence / manifest.full_confidence, 0, 1)


def _suppressed(found: Real, manifest: NetworkManifest) -> Real:
    return found[_kept(found, manifest)]


def _kept(found: Real, manifest: NetworkManifest) -> Index:
    """Indices of the confident boxes (N, 5) after NMS, most confident first."""
    is_confident = np.isfinite(found).all(-1) & (found[:, 4] >= manifest.min_confidence)
    candidates = np.flatnonzero(
        is_confident & (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])
    )
    order = candidates[np.argsort(-found[candidates, 4], kind="stable")]
    corners = found[order, :4]
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), found[order, 4], 0.0, _NMS_IOU)
    return order[np.asarray(kept, np.intp)][:_MOST_PEOPLE]


def _yolox(raw: Batch, manifest: NetworkManifest) -> list[Real]:
    """Raw grids: offset from the cell and log size, in strides; class 0 is person."""
    width, height = manifest.size_px
    grids = []
    for stride in _YOLOX_STRIDES:
        y, x = np.divmod(np.arange((width // stride) * (height // stride)), width // stride)
        grids.append(np.stack([x, y, np.full_like(x, stride)], 1))
    cells = np.concatenate(grids).astype(np.float64)
    found = []
    for each in raw:
        confidence = each[:, 4].astype(np.float64) * each[:, 5]
        likely = confidence >= manifest.min_confidence
        cell, values = cells[likely], each[likely, :4].astype(np.float64)
        centre = (values[:, :2] + cell[:, :2]) * cell[:, 2:]
        half = np.exp(np.minimum(values[:, 2:], 20.0)) * cell[:, 2:] / 2
        found.append(np.concatenate([centre - half, centre + half, confidence[likely, None]], 1))
    return found


def _centre_map(centre: Batch, size: Batch, manifest: NetworkManifest) -> list[Real]:
    """Peaks of the centre map, each with the box size in the same cell."""
    cells_high, cells_wide = centre.shape[-2:]
    cell_px = np.array(manifest.size_px) / (cells_wide, cells_high)
    found = []
    for heat, shares in zip(centre[:, 0], size, strict=True):
        highest = cv2.dilate(np.ascontiguousarray(heat), np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero((heat >= manifest.min_confidence) & (heat >= highest))
        keypoints = _weighted_mean(heat[None], columns[None], rows[None], reach=1)[0] * cell_px
        half = shares[:, rows, columns].T * np.array(manifest.size_px) / 2
        peak = heat[rows, columns, None]
        found.append(np.concatenate([keypoints - half, keypoints + half, peak], 1))
    return found


def _heatmap(heat: Batch, manifest: NetworkManifest) -> tuple[Real, Real]:
    """The weighted mean around each map's peak, and the peak's height."""
    batch, count, high, wide = heat.shape
    flat = heat.reshape(batch * count, high * wide)
    at = flat.argmax(1)
    rows, columns = np.divmod(at, wide)
    maps = flat.reshape(-1, high, wide)
    keypoints = _weighted_mean(maps, columns[:, None], rows[:, None], _REACH_CELLS)[:, 0]
    cell_px = np.array(manifest.size_px) / (wide, high)
    peak = flat[np.arange(len(flat)), at].astype(np.float64)
    return (keypoints * cell_px).reshape(batch, count, 2), peak.reshape(batch, count)


def _weighted_mean(maps: Batch, columns: Index, rows: Index, reach: int) -> Real:
    """Weighted means (M, N, 2) of maps (M, h, w) around cells (M, N), from the map's corner."""
    high, wide = maps.shape[-2:]
    offsets = np.arange(-reach, reach + 1)
    x = columns[..., None] + offsets  # (M, N, K)
    y = rows[..., None] + offsets
    inside_x, inside_y = (x >= 0) & (x < wide), (y >= 0) & (y < high)
    item = np.arange(len(maps))[:, None, None, None]
    weight = maps[item, y.clip(0, high - 1)[..., :, None], x.clip(0, wide - 1)[..., None, :]]
    weight = np.maximum(weight, 0) * (inside_y[..., :, None] & inside_x[..., None, :])
    total = np.maximum(weight.sum((-2, -1)), 1e-9)
    across = (weight.sum(-2) * x).sum(-1) / total
    down = (weight.sum(-1) * y).sum(-1) / total
    return np.stack([across, down], -1).astype(np.float64) + 0.5


def _simcc(across: Batch, down: Batch) -> tuple[Real, Real]:
    """The highest bin of each axis; the confidence is that of the less confident axis."""
    x, y = across.argmax(-1), down.argmax(-1)
    confidence = np.minimum(across.max(-1), down.max(-1)).astype(np.float64)
    return np.stack([x, y], -1) / _SIMCC_SPLIT + 0.5, confidence
