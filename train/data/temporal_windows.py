"""Windows of instants around an instant, by time, for a lifter of movements.

A frame that is missing, because the session begins or ends there or no person was detected, is one
without a person.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cvsf.model.fusion import CentredViews, FusedLifter, LiftedViews, centre_views
from cvsf.skeleton import Array

FRAMES_APART_S = 0.07
"""Between two frames of a window; a guess, used in all measurements of windows in docs/log.md."""
_LEAST_DEPTH = 0.2
"""Least depth of a ray (x, y, 1) rotated to the centred view; a guess, not measured."""
_GAP_S = 1e4
"""Between two sessions on one clock: no window reaches so far."""


def one_clock(
    session: Sequence[str], t_s: Float[npt.NDArray[Any], "N"]
) -> Float[npt.NDArray[np.float64], "N"]:
    """Times (s) on one clock that begins at 0 and does not fall; empty if there are none. Where the
    name of the session changes, or time goes back, 10,000 s lie between two instants.
    """
    names = np.array(session)
    step = np.diff(t_s.astype(np.float64), prepend=t_s[:1])
    step[1:][(names[1:] != names[:-1]) | (step[1:] < 0)] = _GAP_S
    return np.asarray(np.cumsum(step))


def around(
    clock: Float[npt.NDArray[np.float64], "N"],
    index: Int[npt.NDArray[np.int64], "B"],
    frames: int,
) -> tuple[Int[npt.NDArray[np.int64], "B T"], Bool[npt.NDArray[np.bool_], "B T"]]:
    """Row numbers of the frames in the window of each instant `index`, 0.07 s apart with the
    instant itself in the middle, the nearest in time, and whether each is within 0.035 s of its
    place. `clock` is in s and must not fall; `frames` is odd. A row that is not near enough is
    still given.
    """
    offsets = FRAMES_APART_S * (np.arange(frames) - frames // 2)
    wanted = clock[index][:, None] + offsets
    after = np.searchsorted(clock, wanted).clip(1, max(len(clock) - 1, 1))
    after = np.minimum(after, len(clock) - 1)
    before = np.maximum(after - 1, 0)
    nearer = np.abs(clock[before] - wanted) < np.abs(clock[after] - wanted)
    rows = np.where(nearer, before, after)
    rows[:, frames // 2] = index
    return rows, np.abs(clock[rows] - wanted) <= FRAMES_APART_S / 2


def windows(
    keypoints_px: Float[Array, "N V J 2"],
    confidence: Float[Array, "N V J"],
    clock: Float[npt.NDArray[np.float64], "N"],
    frames: int,
) -> tuple[Float[Array, "N V T J 2"], Float[Array, "N V T J"]]:
    """Keypoints (px) and confidence of each instant's window of T frames 0.07 s apart, the instant
    in the middle. Where no frame is within 0.035 s, confidence is 0 and the keypoints are those of
    the nearest frame. `clock` is in s and must not fall. Arrays are copies.
    """
    rows, there = around(clock, np.arange(len(clock)), frames)
    present = confidence[rows] * there[:, :, None, None]
    return keypoints_px[rows].swapaxes(1, 2), present.swapaxes(1, 2).astype(np.float32)


class WindowedFusion(FusedLifter):
    """The whole graph behind a lifter of windows; its outputs are of their middle frames."""

    def forward(
        self,
        keypoints_px: Float[Tensor, "B V T J 2"],
        confidence: Float[Tensor, "B V T J"],
        image_px: Float[Tensor, "B V 2"],
    ) -> LiftedViews:
        """The engine's outputs for the middle frame of each window: the keypoint adapter if there
        is one, the lifter, then fusion over views. Keypoints and picture sizes are in px; a size of
        0 is unknown.
        """
        if self.morph is not None:
            keypoints_px, confidence = self.morph(keypoints_px, confidence)
        frames = confidence.shape[2]
        plane, centred = centred_window(keypoints_px, confidence, image_px)
        canonical, rotation = self.lift(plane, confidence)
        keypoints_px, confidence = (part[:, :, frames // 2] for part in (keypoints_px, confidence))
        return self.fuse(canonical, rotation, keypoints_px, confidence, centred)


def centred_window(
    keypoints_px: Float[Tensor, "*batch T J 2"],
    confidence: Float[Tensor, "*batch T J"],
    image_px: Float[Tensor, "*batch 2"],
) -> tuple[Float[Tensor, "*batch T J 2"], CentredViews]:
    """All frames of a window on the image plane (no unit; x right, y down) of a camera with the
    person of the middle frame on its optical axis, and that camera. Undetected joints stay where
    they are; a ray's depth below 0.2 counts as 0.2.
    """
    middle = keypoints_px.shape[-3] // 2
    centred = centre_views(keypoints_px[..., middle, :, :], confidence[..., middle, :], image_px)
    around = centred.origin_px[..., None, :, :], centred.focal_px[..., None, :, :]
    ray = (keypoints_px - around[0]) / around[1]
    ray = torch.cat([ray, torch.ones_like(ray[..., :1])], -1)
    ray = ray @ centred.centred_from_view[..., None, :, :].mT
    return ray[..., :2] / ray[..., 2:].clamp_min(_LEAST_DEPTH), centred
