"""The mirror ambiguity: whether the lifter's poses are right, or right after a reflection in depth.

A far person looks the same as the reflected one from reflected cameras (Necker's reversal). Only
perspective, and gravity, tell the two apart; both fits are compared.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvsf.calibration.gravity import estimate_up
from cvsf.calibration.normal_equations import Problem, State
from cvsf.calibration.result import LEAST_NOISE
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import reprojection_cost, weighted_keypoints
from cvsf.multiview.residuals import bone_residuals, lifted_cost, lifted_target
from cvsf.multiview.rotation import align
from cvsf.reconstruction.pose_solver import body_in_world
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

PAIR = 2
"""Views of which nothing else says which side of the mirror is right, and of which none can be
rejected at an instant."""
MIRROR_GAIN = 1.1
"""Ratio of the two fits' costs at which perspective decides; figures are in docs/accuracy.md."""
# guesses, not measured
_TRIMMED = 0.75  # share of the instants, those of least cost, whose costs are compared
_FOOT = 0.2  # ankle above the sole, in mean bones
_LOWEST = 10.0  # percentile of the lower ankle's height that is a foot on the ground
_UNDERGROUND, _OVERGROUND = -3.0, -1.5
"""Heights over the ground in mean bones: below the one no camera is, above the other it may be; the
vertical is known to some degrees only."""
_LEAST_LIKENESS = 0.8
"""Most distance to the lifter's poses over that to their reflections for joints that are of the
lifter's side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Still cameras fitted to chosen instants whose poses are as lifted, or reflected in depth."""

    chosen: LiftedObservations
    problem: Problem
    state: State
    mirrored: bool


Fit = Callable[[LiftedObservations, LiftedObservations], tuple[Problem, State]]
"""From the chosen instants, and those of them that give the first cameras. LinAlgError: these give
no cameras; Undetermined is passed on."""


def decide_mirror(chosen: LiftedObservations, fit: Fit) -> tuple[Fitted, str]:
    """The better of the fits with poses as lifted and reflected, and a sentence for the user if
    that is not certain with two views, else "".

    Each is fitted from all chosen instants, with two views also from their first and from their
    second half, as either can end in a poor local minimum.
    Perspective decides if the costs differ by `MIRROR_GAIN`; else gravity, if in one of them a
    camera is far under the ground; else the lifter's side is taken, and the sentence says so.
    LinAlgError if one of them cannot be fitted from any start.
    """
    as_lifted, reflected = (_fits(chosen, fit, mirrored) for mirrored in (False, True))
    noise = max(min(f.problem.keypoints.noise_share for f in (*as_lifted, *reflected)), LEAST_NOISE)
    costs = [[trimmed_cost(one, noise) for one in side] for side in (as_lifted, reflected)]
    best = as_lifted[int(np.argmin(costs[0]))], reflected[int(np.argmin(costs[1]))]
    ratio = min(costs[1]) / max(min(costs[0]), 1e-9)
    if ratio > MIRROR_GAIN:
        return best[0], ""
    two = len(chosen.cameras) == PAIR
    if ratio * MIRROR_GAIN < 1:
        return best[1], _REFLECTED.format(1 / ratio) if two else ""
    height = [camera_height(one) for one in best]
    if min(height) < _UNDERGROUND and max(height) > _OVERGROUND:
        upper = int(np.argmax(height))
        return best[upper], _REFLECTED_BY_GRAVITY if upper and two else ""
    return best[0], _UNDECIDED.format(ratio, MIRROR_GAIN) if two else ""


MIRRORED_PICTURES = (
    "the views agree on the mirror image of the lifter's poses: all pictures may be mirrored, or "
    "left and right joints exchanged; look whether the person is right"
)
"""Of three or more views, which leave no depth ambiguity."""
_CURE = "add a third camera, or place the two farther apart and nearer to the person"
_REFLECTED = (
    "two views fit the mirror image of the lifter's poses in depth better, by a factor of {:.2f}; "
    f"look whether knees and elbows bend the right way, or {_CURE}"
)
_REFLECTED_BY_GRAVITY = (
    "two views fit the lifter's poses only with a camera under the ground, so their mirror image "
    f"in depth was taken; look whether knees and elbows bend the right way, or {_CURE}"
)
_UNDECIDED = (
    "two views leave open whether the person is right or the mirror image in depth: the costs of "
    f"both differ by a factor of {{:.2f}}, expected {{:.2f}} or more; {_CURE}"
)
_UNLIKE = (
    "two views give joints as near to the mirror image of the lifter's poses in depth as to the "
    f"poses: {{:.2f}} of the distance, expected {_LEAST_LIKENESS:.2f} or less; {_CURE}"
)


def depth_ambiguity(fitted: Fitted) -> str:
    """A sentence if two views gave joints that are hardly nearer to the lifter's poses than to
    their reflections in depth, else "". Three or more views leave no such ambiguity.
    """
    own, other = (
        float(np.median(_distance(poses, fitted.state)))
        for poses in (fitted.chosen, fitted.chosen.mirrored())
    )
    return _UNLIKE.format(own / other) if own > _LEAST_LIKENESS * other else ""


def trimmed_cost(fitted: Fitted, noise_share: float) -> float:
    """The cost of the three quarters of the instants that fit best, without unit, at a given noise
    of the keypoints: garbage of some seconds has no part in it.
    """
    problem, state = fitted.problem, fitted.state
    keypoints = weighted_keypoints(fitted.chosen, noise_share)
    extra, _ = bone_residuals(problem.bones, state.lengths, state.joints)
    target = lifted_target(problem.body, state.joints)
    each = (
        reprojection_cost(keypoints, state.rig, state.joints)
        + np.square(extra / problem.priors.bone_sigma).sum(-1)
        + lifted_cost(target, state.joints, problem.priors.lifter_sigma)
    )
    return float(np.sort(each)[: max(round(_TRIMMED * len(each)), 1)].sum())


def camera_height(fitted: Fitted) -> float:
    """Height of the lowest camera over the ground, in mean bones; the ground is where the feet are
    at their lowest.
    """
    rig, joints, names = fitted.state.rig, fitted.state.joints, fitted.chosen.joint_set
    up = estimate_up(rig, joints, names, _FOOT)
    feet = joints[:, [names.index(f"{side}ankle") for side in "lr"]] @ up
    return float((rig.centres @ up).min() - np.percentile(feet.min(1), _LOWEST) + _FOOT)


def _fits(chosen: LiftedObservations, fit: Fit, mirrored: bool) -> Sequence[Fitted]:
    """One fit from each start; LinAlgError if there is none."""
    poses = chosen.mirrored() if mirrored else chosen
    half, fits = len(poses) // 2, []
    halves = (slice(half), slice(half, None)) if len(poses.cameras) == PAIR else ()
    for start in (slice(None), *halves):
        try:
            problem, state = fit(poses, poses.take(start))
        except np.linalg.LinAlgError:
            continue
        fits.append(Fitted(chosen=poses, problem=problem, state=state, mirrored=mirrored))
    if not fits:
        raise np.linalg.LinAlgError("no start gives cameras")
    return fits


def _distance(poses: LiftedObservations, state: State) -> Float[Real, "N"]:
    """RMS distance (mean bones) of the joints to the lifted pose after the best rigid motion."""
    body = body_in_world(poses, state.rig.view_from_world)
    away = align(body, state.joints).apply(body) - state.joints
    return np.asarray(np.sqrt(np.square(away).sum(-1).mean(-1)))
