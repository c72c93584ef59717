"""How well the metre is known: one standard deviation of the scale, as a share of it.

A length that the user measured makes the metre; what is between that length and the joints is
stated here: how stature and bones go with joints, and how well the calibration knows them.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from cvsf.multiview.rig import Calibration
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

ADULTS = 0.06
"""Standard deviation of the stature of adults, as of `world_frame.ADULT_M`."""
RATIOS = 1.25
"""Deviation of a stature over the scatter of those that the segments give: with it 79 % of 128
sessions of six people, 1.70 m assumed, are within one deviation and all within two."""
BONE = 0.018
"""Between a bone and its joints as detected: 68 % of the same sessions, each with the true length
of its thigh, are within it (shin and upper arm within 0.004)."""
OWN = 0.1
"""Between a bone that the calibration found and the size of its skeletons, over the deviation of
its cameras' positions: 68 % of the same sessions are within 0.07 of it for the thigh, within 0.16
for the forearm.
"""
_LEAST_RATIOS = 2  # segments without which nothing can be said of their scatter
_RATIO = 0.12  # the scatter that is assumed then, the larger half of those people's


def deviation_of_stature(
    calibration: Calibration, statures: Mapping[str, float], used: float, *, given: bool
) -> float:
    """Of a scale by a stature, `given` by the user or that of an adult.

    `statures` are those that single segments give (Drillis and Contini 1966) and `used` the one
    that made the scale, all in the calibration's unit. Where people are not built as the ratios
    have it, or joints are not where they have them, the segments disagree; a single segment tells
    nothing, and counts as people of the larger scatter.
    """
    scatter = _RATIO
    if len(statures) >= _LEAST_RATIOS:
        ratios = np.array(list(statures.values())) / used
        scatter = float(np.sqrt(np.mean(np.square(ratios - 1))))
    return float(np.linalg.norm([0 if given else ADULTS, RATIOS * scatter, _own(calibration)]))


def deviation_of_bone(calibration: Calibration) -> float:
    """Of a scale by the length of a bone that the user measured."""
    return float(np.hypot(BONE, _own(calibration)))


def deviation_of_distance(
    calibration: Calibration, joints: Float[Real, "N J 3"], pair: tuple[str, str]
) -> float:
    """Of a scale by the distance of two cameras of the rig that the user measured: the deviation of
    their positions over their distance. `joints` are in the world and unit of the calibration; NaN
    is unknown. ValueError if one is not in the rig.
    """
    rig = calibration.rig
    views = [rig.cameras.index(camera) for camera in pair]
    first, second = (np.asarray(rig.centres)[..., view, :] for view in views)
    apart = float(np.median(np.linalg.norm(first - second, axis=-1)))
    away = np.linalg.norm(np.nanmean(rig.in_views(joints), axis=(0, 2)), axis=-1)[views]
    position = calibration.uncertainty.position_share[views] * away
    return float(np.linalg.norm(position) / max(apart, 1e-9))


def _own(calibration: Calibration) -> float:
    """What the calibration itself leaves open: where distances are known badly, so is the size."""
    return OWN * float(np.median(calibration.uncertainty.position_share))
