"""Probe inputs: synthetic instants that every engine ever compiled is run on.

Bodies before one to sixteen cameras, no person at all, joints far off or hidden, pictures of
unknown size.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cvsf.engine.engine import BUCKETS
from cvsf.messages import MAX_VIEWS
from cvsf.skeleton import JointSet

GOLDEN_VIEWS = 4

# a standing body with raised arms, metres, z up, for golden vectors
STANDING = {
    "hip": (0, 0, 0), "rhip": (0, -0.11, 0), "rknee": (0.1, -0.12, -0.41),
    "rankle": (0, -0.13, -0.82),
    "lhip": (0, 0.11, 0), "lknee": (0.05, 0.13, -0.42), "lankle": (-0.05, 0.16, -0.83),
    "spine": (0.02, 0, 0.24), "thorax": (0.05, 0, 0.48), "head": (0.08, 0, 0.75),
    "lshoulder": (0.05, 0.18, 0.46), "lelbow": (0.2, 0.35, 0.35), "lwrist": (0.42, 0.33, 0.45),
    "rshoulder": (0.05, -0.18, 0.46), "relbow": (0.15, -0.38, 0.32), "rwrist": (0.35, -0.42, 0.42),
}  # fmt: skip

Inputs = dict[str, Tensor]
"""keypoints_px (1, V, J, 2), confidence (1, V, J) and image_px (1, V, 2)."""


class ProbeInputs(NamedTuple):
    """Instants of one number of views, and the batch sizes that an engine runs them in."""

    rows: tuple[Inputs, ...]
    batches: tuple[int, ...]


def probe_inputs(joints: JointSet) -> Iterator[ProbeInputs]:
    """Probe inputs for parity, always the same ones: an instant for each other number of views up
    to 16, in batches of 1; then seven of 4 views, in batches of one less, equal to and one more
    than each bucket. Four of the seven are special: no person, far-off joints, pictures of size 0,
    one view. Keypoints and picture sizes are in px.
    """
    for views in (*range(1, GOLDEN_VIEWS), *range(GOLDEN_VIEWS + 1, MAX_VIEWS + 1)):
        yield ProbeInputs((golden_sample(views, joints, views),), (1,))
    rows = [golden_sample(GOLDEN_VIEWS, joints, seed) for seed in (4, 14, 24)]
    rows += [no_person(rows[0]), _far_off(rows[1]), _unsized(rows[2]), _one_view(rows[0])]
    edges = sorted({edge + by for edge in BUCKETS for by in (-1, 0, 1)} - {0})
    yield ProbeInputs(tuple(rows), (*edges,))


def golden_sample(views: int, joints: JointSet, seed: int) -> Inputs:
    """A plausible instant, in px of pictures of 1920 x 1080: a body with raised arms before `views`
    perspective cameras. The last joint has confidence 0 in the last view; from 5 views on the
    second view has no person. The same seed gives the same instant; KeyError for a joint that
    h36m-16 lacks.
    """
    random = np.random.default_rng(seed)
    body = np.array([STANDING[joint] for joint in joints.joints]) + random.normal(
        0, 0.05, (len(joints), 3)
    )
    keypoints = np.empty((1, views, len(joints), 2))
    for view in range(views):
        azimuth = 2 * np.pi * view / max(views, 2) + random.normal(0, 0.2)
        c, s = np.cos(azimuth), np.sin(azimuth)
        local = body @ np.array([[c, s, 0], [0, 0, -1], [-s, c, 0]]).T + [
            *random.normal(0, 0.5, 2),
            7.0,
        ]
        keypoints[0, view] = 1300 * local[:, :2] / local[:, 2:] + [960, 540]
    keypoints += random.normal(0, 3, keypoints.shape)
    confidence = random.uniform(0.5, 1, (1, views, len(joints)))
    confidence[0, -1, -1] = 0  # a joint that was not detected there
    confidence[0, 1:2] *= views < 5  # and, in the largest, a view without the person
    image = np.broadcast_to([1920.0, 1080.0], (1, views, 2))
    arrays = {"keypoints_px": keypoints, "confidence": confidence, "image_px": image}
    return {name: torch.tensor(array.copy(), dtype=torch.float32) for name, array in arrays.items()}


def no_person(inputs: Inputs) -> Inputs:
    """Inputs of the same picture sizes, keypoints and confidences all zero: no view has the person,
    and the output depends on the network's biases only.
    """
    zeros = {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
    return zeros | {"image_px": inputs["image_px"]}


def _far_off(inputs: Inputs) -> Inputs:
    """Undetected joints at absurd positions, which must not matter, and one detected outlier."""
    pixels, confidence = inputs["keypoints_px"].clone(), inputs["confidence"].clone()
    confidence[0, 0, 3:6], pixels[0, 0, 3:6] = 0.0, 9e5
    confidence[0, 2, 10:], pixels[0, 2, 10:] = 0.0, -9e5
    pixels[0, 1, -2] += 600.0
    return inputs | {"keypoints_px": pixels, "confidence": confidence}


def _unsized(inputs: Inputs) -> Inputs:
    return inputs | {"image_px": torch.zeros_like(inputs["image_px"])}


def _one_view(inputs: Inputs) -> Inputs:
    """Detected by a single one of the cameras."""
    confidence = inputs["confidence"].clone()
    confidence[:, 1:] = 0
    return inputs | {"confidence": confidence}
