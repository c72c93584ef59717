"""How well exported 2D networks find joints in pictures they never saw, picture in, pixels out.

The networks run as the hub runs them: ONNX, the box from the box network, the crop from that box.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from jaxtyping import Bool, Float, UInt8

from cvsf.shapes import Array, Mask, Picture, Real
from cvsf.skeleton import H36M_16
from train.detector.heatmap import peaks
from train.detector.networks import BOX_INPUT_PX, POSE_INPUT_PX
from train.detector.pictures import MARGIN, Shot, box_of, crop, read_jpeg, shrink

_CONFIDENT = 0.5
_SIDES_APART = 0.08
"""Left and right count as exchanged only where the truth has them this share of the box apart."""
_LIMBS = ("knee", "ankle", "elbow", "wrist")


def score(folder: Path, shots: Sequence[Shot]) -> dict[str, float]:
    """The scores of `detector.onnx` and `pose.onnx` in `folder` on at least one picture, by key:
    shares of 1, `_px` in pixels, `_ms` in milliseconds on one thread. It runs both networks, as the
    hub does.
    """
    box_session, pose_session = _session(folder / "detector.onnx"), _session(folder / "pose.onnx")
    found, confidence, truth = [], [], []
    centres: list[float] = []
    for shot in shots:
        picture = read_jpeg(shot.path)
        corner, side = _square(find_box(box_session, picture))
        image = crop(picture, corner, side, POSE_INPUT_PX)
        joints, heights = find_joints(pose_session, image[None])
        found.append(corner + joints[0] * (side / POSE_INPUT_PX))
        confidence.append(heights[0])
        truth.append(shot.joints_px)
        wanted = box_of(shot.joints_px)
        centres.append(float(np.abs(corner + side / 2 - wanted[:2]).max() / wanted[2:].max()))
    visible = np.stack([shot.visible for shot in shots])
    figures = _figures(np.stack(found), np.stack(confidence), np.stack(truth), visible)
    figures["box_found_share"] = float(np.mean(np.array(centres) < 0.25))
    figures["pose_ms"] = _milliseconds(pose_session, (1, 3, POSE_INPUT_PX, POSE_INPUT_PX))
    figures["pose_batch4_ms"] = _milliseconds(pose_session, (4, 3, POSE_INPUT_PX, POSE_INPUT_PX))
    figures["box_ms"] = _milliseconds(box_session, (1, 3, *BOX_INPUT_PX[::-1]))
    return {name: round(value, 4) for name, value in figures.items()}


def find_box(
    session: onnxruntime.InferenceSession, picture: UInt8[Picture, "h w 3"]
) -> Float[Real, "4"]:
    """Centre x, centre y, width, height in pixels of the picture of its best box, float64; there is
    always one, whatever its confidence.
    """
    small, scale, shift = shrink(picture, smooth=False)
    centre, size = session.run(["centre", "size"], {"image": _input(small[None])})
    place, _ = peaks(torch.from_numpy(centre), reach=1)
    share = (place[0, 0].numpy() + 0.5) / centre.shape[:1:-1]
    best = np.unravel_index(centre[0, 0].argmax(), centre.shape[2:])
    input_px = np.array(BOX_INPUT_PX)
    box = np.concatenate([share * input_px - shift, size[0, :, *best] * input_px])
    return box.astype(np.float64) / scale


def find_joints(
    session: onnxruntime.InferenceSession, crops: npt.NDArray[np.uint8]
) -> tuple[Array, Array]:
    """Joints (B, J, 2), x and y in the crops' pixels from their upper left corner, and their
    confidence (B, J), the heatmap's height, 0 to 1. `crops` are RGB, 8 bits, of the pose network's
    input size.
    """
    (heatmaps,) = session.run(["heatmaps"], {"image": _input(crops)})
    cells, confidence = peaks(torch.from_numpy(heatmaps))
    return (cells.numpy() + 0.5) * (POSE_INPUT_PX / heatmaps.shape[-1]), confidence.numpy()


def _figures(
    found: Float[Array, "N J 2"],
    confidence: Float[Array, "N J"],
    truth: Float[Array, "N J 2"],
    visible: Bool[Mask, "N J"],
) -> dict[str, float]:
    size = box_of(truth)[..., 2:].max(-1)[:, None]
    off_px = np.linalg.norm(found - truth, axis=-1)
    off = off_px / size
    sure = confidence >= _CONFIDENT
    ranks = [np.argsort(np.argsort(x.ravel())) for x in (confidence, -off)]
    return {
        "pck_0_1": float((off < 0.1).mean()),
        "pck_0_05": float((off < 0.05).mean()),
        "visible_pck_0_1": float((off < 0.1)[visible].mean()),
        "visible_pck_0_05": float((off < 0.05)[visible].mean()),
        "median_px": float(np.median(off_px)),
        "median_share": float(np.median(off)),
        "mean_share": float(off.mean()),
        "swapped_share": _swapped(found, truth, size),
        "confident_share": float(sure.mean()),
        "confident_pck_0_05": float((off < 0.05)[sure].mean()) if sure.any() else 0.0,
        "confidence_rank_correlation": _correlation(*ranks),
        "pictures": float(len(found)),
    }


def _correlation(a: npt.NDArray[np.intp], b: npt.NDArray[np.intp]) -> float:
    x, y = a - a.mean(), b - b.mean()
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def _swapped(
    found: Float[Array, "N J 2"], truth: Float[Array, "N J 2"], size: Float[Array, "N 1"]
) -> float:
    """Share of left-right swaps: limb pairs detected nearer to the other side's true position."""
    left = [H36M_16.index(f"l{limb}") for limb in _LIMBS]
    right = [H36M_16.index(f"r{limb}") for limb in _LIMBS]

    def apart(a: Float[Array, "N L 2"], b: Float[Array, "N L 2"]) -> Float[Array, "N L"]:
        return np.asarray(np.linalg.norm(a - b, axis=-1), np.float32)

    clear = apart(truth[:, left], truth[:, right]) > _SIDES_APART * size
    crossed = apart(found[:, left], truth[:, right]) < apart(found[:, left], truth[:, left])
    crossed &= apart(found[:, right], truth[:, left]) < apart(found[:, right], truth[:, right])
    return float(crossed[clear].mean()) if clear.any() else 0.0


def _square(box: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """Corner and side of the crop around a box."""
    side = MARGIN * float(max(box[2:].max(), 1))
    return box[:2] - side / 2, side


def _input(pictures: npt.NDArray[np.uint8]) -> Array:
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))
    return np.asarray(planes, np.float32) / np.float32(255)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _milliseconds(session: onnxruntime.InferenceSession, shape: tuple[int, ...]) -> float:
    """The median time of a run."""
    image = np.random.default_rng(0).random(shape, np.float32)
    seconds = []
    for _ in range(40):
        start = time.perf_counter()
        session.run(None, {"image": image})
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) * 1e3
