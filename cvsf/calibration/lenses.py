"""Lenses in the calibration of still cameras: given intrinsics are used and checked, distortion and
principal points are estimated where the data determine them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import NEAR, adjust, deviations, readjust
from cvsf.calibration.mirror_ambiguity import PAIR
from cvsf.calibration.normal_equations import Priors, Problem, State, cost
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.intrinsics import Intrinsics
from cvsf.multiview.rig import FOCAL, Rig
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

_WRONG_DROP, _DOUBTED_DROP = 20.0, 10.0
"""By how much the cost falls with free focal lengths, from which given ones are wrong, and from
which those are that are left when others were: 0.6 to 17 with the right ones in 13 generated
sessions of four views, 24 to 290 with all focal lengths 5 % off."""
_NEAR_S = 0.03
"""Instants that are nearer have nearly the same errors of the detector, so the cost has to fall by
more: it falls by 22 with right lenses in a real clip of 60 pictures a second. A guess."""
_WRONG_DEVIATIONS = 2.5  # of a focal length that the data gives: this one is wrong
_SEVERAL = 2  # wrong ones of which all are thought to be wrong, if they are half of those given
PAIR_DEVIATIONS = 3.0
"""Standard deviations within which what is found of two cameras is in nine of ten takes, if a lens
is not known: biases of the detector act as distances. Nine of ten of 153 pairs (seed 11) are within
2.5, of those shorter than 8 s within 3.0."""
RADIAL_DROP = 30.0
"""By how much the cost falls with k1: 1 to 17 for straight lenses of four views (the detector's
errors are not quite random), 29 to 270 at k1 = -0.3 where the skeleton gains, 6 where it does
not."""
_PRINCIPAL_DROP = 80.0
"""By how much more with principal points: at most 24 where they are in the middle, 62 to 1800 where
they are 10 % off."""
_PRINCIPAL_SIGMA = 0.1  # over the picture's longer side; a guess, not measured
_ROUNDS, _REPEATS = 10, 5

WRONG = "given focal length {:.0f} px does not fit, {:.0f} px found and used"
CONTRADICTED = (
    "given focal length {:.0f} px is used, though the movement alone gives {:.0f} px; two cameras "
    "cannot decide"
)
RADIAL = "distortion found, k1 {:+.2f}"
PRINCIPAL = (
    "distortion and principal point found, k1 {:+.2f}, {:+.0f} and {:+.0f} px from the middle"
)


def with_lenses(rig: Rig, given: Intrinsics | None) -> Rig:
    """The rig with the distortion and principal points of given lenses."""
    if given is None:
        return rig
    known = given.is_known[:, None]
    return replace(
        rig,
        centre_px=np.where(known, given.centre_px, rig.centre_px),
        distortion=np.where(known, given.distortion, rig.distortion),
    )


def start_focal_px(given: Intrinsics | None, guess_px: Real) -> Real:
    """Focal lengths to begin with: those given, else the guess."""
    return guess_px if given is None else np.where(given.is_known, given.focal_px, guess_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradicted:
    """The views whose given intrinsics the data contradict, and what these give instead."""

    views: tuple[int, ...] = ()
    found_px: Float[Real, "V"]
    """Focal lengths of all views, where some are contradicted as if none were given."""


def contradicted_lenses(
    problem: Problem, state: State, interval_s: float, *, others_were: bool = False
) -> Contradicted:
    """Which given intrinsics the data contradict, whose instants are `interval_s` apart; of those
    that they do not determine, none. Where `others_were` contradicted, which are not given any
    more, less is enough.
    """
    found_px = state.rig.focal_px
    if not problem.is_given.any():
        return Contradicted(found_px=found_px)
    freed = replace(problem, is_given=np.zeros_like(problem.is_given))
    tried, _ = adjust(freed, state, _ROUNDS)
    tried, _ = adjust(freed, tried, _ROUNDS, damping=NEAR)
    nearness = _NEAR_S / max(interval_s, 1e-3)
    least_drop = (_DOUBTED_DROP if others_were else _WRONG_DROP) * max(1.0, nearness)
    if cost(problem, state) - cost(freed, tried) < least_drop:
        return Contradicted(found_px=found_px)
    deviation = deviations(freed, tried)[0][:, FOCAL]
    is_pair = len(deviation) == PAIR
    least = _WRONG_DEVIATIONS * (PAIR_DEVIATIONS if is_pair else 1.0) * deviation
    wrong = problem.is_given & (np.abs(tried.rig.log_focal - problem.guess_log_focal) > least)
    count = int(wrong.sum())
    several = count >= _SEVERAL and 2 * count >= problem.is_given.sum()
    if not is_pair and (not count or several):  # another zoom or crop: the others are off too
        wrong = problem.is_given
    views = tuple(int(view) for view in np.flatnonzero(wrong))
    return Contradicted(views=views, found_px=tried.rig.focal_px)


def contradicted_lens_messages(
    cameras: Sequence[str], given: Intrinsics, contradicted: Contradicted
) -> dict[str, str]:
    """What is said of given lenses that two cameras contradict, which are used all the same."""
    return {
        cameras[v]: CONTRADICTED.format(given.focal_px[v], contradicted.found_px[v])
        for v in contradicted.views
    }


def wrong_lens_messages(
    found: Calibration, given: Intrinsics, wrong: Sequence[int]
) -> dict[str, str]:
    """What is said of each camera of a calibration: that its given lens was wrong, and what was
    found of lenses.
    """
    said = dict(found.lenses)
    for view in wrong:
        name, focal_px = found.rig.cameras[view], found.rig.focal_px[view]
        clause = WRONG.format(given.focal_px[view], focal_px)
        said[name] = "; ".join(filter(None, (clause, said.get(name))))
    return said


def lens_drop(problem: Problem, state: State) -> float:
    """By how much one step with free distortion and principal points lowers the cost, at least: a
    quick sign that lenses are not straight, with nothing else changed. 0 if all are given.
    """
    if problem.is_given.all():
        return 0.0
    freed = replace(
        problem,
        priors=replace(
            problem.priors,
            estimate_radial=True,
            estimate_principal=True,
            principal_sigma=_PRINCIPAL_SIGMA,
        ),
    )
    tried, _ = adjust(freed, state, 1)
    return cost(freed, state) - cost(freed, tried)


def with_estimated_lenses(problem: Problem, state: State) -> tuple[Problem, State, dict[str, str]]:
    """The fit with k1, or with k1 and the principal point, of every camera that is not given, if
    that lowers the cost clearly; and a clause for each of these cameras.
    """
    views = np.flatnonzero(~problem.is_given)
    if not len(views):
        return problem, state, {}
    straight = problem, state
    bends = replace(problem.priors, estimate_radial=True)
    shifts = replace(bends, estimate_principal=True, principal_sigma=_PRINCIPAL_SIGMA)
    bent, shifted = (_refitted(*straight, priors) for priors in (bends, shifts))
    noise = min(one.keypoints.noise_share for one, _ in (straight, bent, shifted))
    costs = [_cost_at(*one, noise) for one in (straight, bent, shifted)]
    rig = shifted[1].rig
    if costs[2] < min(costs[0] - RADIAL_DROP, costs[1]) - _PRINCIPAL_DROP:
        aside = rig.centre_px - rig.image_px / 2
        said = {rig.cameras[v]: PRINCIPAL.format(rig.distortion[v, 0], *aside[v]) for v in views}
        return *shifted, said
    if costs[1] < costs[0] - RADIAL_DROP:
        rig = bent[1].rig
        return *bent, {rig.cameras[v]: RADIAL.format(rig.distortion[v, 0]) for v in views}
    return *straight, {}


def _refitted(problem: Problem, state: State, priors: Priors) -> tuple[Problem, State]:
    problem = replace(problem, priors=priors)
    for _ in range(_REPEATS):
        problem, state = readjust(problem, state, _ROUNDS)
    return problem, state


def _cost_at(problem: Problem, state: State, noise_share: float) -> float:
    keypoints = replace(problem.keypoints, noise_share=noise_share)
    return cost(replace(problem, keypoints=keypoints), state)
