"""Calibration of cameras that pan and zoom on tripods: each instant alone, then all together.

Each instant gives a rig, up to a similarity. The centres are common to all instants: the rigs are
aligned and the median of their centres is taken; then all instants are adjusted together.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import adjust, deviations
from cvsf.calibration.degeneracy import Undetermined, refuse_uncertain
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.calibration.per_instant_adjustment import FREE, Solutions, adjust_per_instant
from cvsf.calibration.ptz_smoothing import track_instants, weak_prior
from cvsf.calibration.result import LEAST_NOISE, CameraDeviations, calibration_result
from cvsf.calibration.rig_averaging import average_centres
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import estimate_noise, weighted_keypoints
from cvsf.multiview.residuals import BONE_SIGMA, LIFTER_SIGMA, bones_of, measures_of
from cvsf.multiview.rig import CENTRE, Rig
from cvsf.multiview.rotation import align, nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views
from cvsf.reconstruction.pose_solver import BodyPrior, body_in_world
from cvsf.shapes import Bool, Float, Int

Real = npt.NDArray[np.float64]

# guesses, not measured
_INSTANTS, _FEW, _FINALISTS = 64, 16, 2
_GUESSES = (0.75, 1.5, 3.0, 6.0)  # focal length over the picture's longer side
_FAR_BETTER = 0.7  # share of the cost below which another focal length is taken
_HIGH_COST = 1.25  # over the median: another focal length is tried
_NOISE = 0.012  # of the person's extent
_LEAST_INSTANTS = 10
UNUSED = "given lens not used, as the cameras pan"
LEAST_PANNING = 3
"""Least views with which one instant determines its cameras."""


def calibrate_panning(observations: LiftedObservations) -> Calibration:
    """The cameras at every instant, in the axes of the first camera at the first instant, mean bone
    1. No time offset or distortion is estimated. Undetermined with the reason, such as fewer than
    three views, fewer than 10 instants that three saw, or too large standard deviations.
    """
    seen = np.any(observations.confidence > 0, axis=-1)
    rows = _best_rows(observations, seen)
    some = observations.take(rows)
    solutions = _solve_each(some)
    centres, inliers = average_centres(solutions.rig.centres, seen[rows], solutions.cost)
    for camera, saw in zip(observations.cameras, seen[rows][inliers].sum(0), strict=True):
        if saw < LEAST_PANNING:
            raise Undetermined(
                f"{camera} saw the athlete beside two other cameras in {saw} inlier instants, "
                f"expected {LEAST_PANNING} or more; film longer, or leave it out"
            )
    problem, state = _adjust_together(some, solutions, centres, inliers)
    tracked, local = track_instants(observations, rows[inliers], problem, state)
    shared, _ = deviations(problem, state)
    centre = np.linalg.norm(shared[:, CENTRE], axis=-1)
    away = np.linalg.norm(tracked.rig.in_views(tracked.joints).mean((0, 2)), axis=-1)
    result = calibration_result(
        weighted_keypoints(observations, problem.keypoints.noise_share),
        tracked.rig,
        tracked.joints,
        Body(joint_set=observations.joint_set, bones=state.lengths[problem.bones.measure]),
        CameraDeviations(
            rotation=np.linalg.norm(local[:, :3], axis=-1),
            centre=centre,
            log_focal=np.hypot(local[:, 3], centre / away),  # focal length and depth are correlated
        ),
        instants=len(state.joints),
    )
    refuse_uncertain(result)
    known = np.flatnonzero(observations.is_lens_known)
    return replace(result, lenses={observations.cameras[view]: UNUSED for view in known})


def _best_rows(
    observations: LiftedObservations, seen: Bool[npt.NDArray[np.bool_], "N V"]
) -> Int[npt.NDArray[np.intp], "M"]:
    """Indices of instants of high confidence in enough views, spread over the take."""
    views = len(observations.cameras)
    if views < LEAST_PANNING:
        raise Undetermined(
            f"{views} panning cameras cannot be calibrated, expected {LEAST_PANNING} or more"
        )
    usable = np.flatnonzero(seen.sum(1) >= LEAST_PANNING)
    if len(usable) < _LEAST_INSTANTS:
        raise Undetermined(
            f"{len(usable)} instants were observed by {LEAST_PANNING} views, expected "
            f"{_LEAST_INSTANTS} or more; film longer"
        )
    worth = observations.confidence[usable].mean((1, 2))
    bins = np.array_split(np.arange(len(usable)), min(_INSTANTS, len(usable)))
    return np.asarray(usable[[part[worth[part].argmax()] for part in bins]])


def _solve_each(some: LiftedObservations) -> Solutions:
    """Each instant alone, from the guessed focal length of least median cost, of the two that have
    least over a few instants; instants of high cost from another guess, if that has far less.
    """
    longer = some.size_px.max(1).astype(float)
    few = some.take(np.linspace(0, len(some) - 1, min(_FEW, len(some))).round().astype(int))
    screened = {g: solve_per_instant(few, g * longer, _NOISE, 8) for g in _GUESSES}
    ranked = sorted(_GUESSES, key=lambda g: float(np.median(screened[g].cost)))
    tries = [solve_per_instant(some, g * longer, _NOISE, 8) for g in ranked[:_FINALISTS]]
    best = min(tries, key=lambda tried: float(np.median(tried.cost)))
    usual = float(np.median(best.cost))
    for other in tries:
        best = best.with_better(other.cost < _FAR_BETTER * best.cost, other)
    for guess in ranked[_FINALISTS:]:
        rows = np.flatnonzero(best.cost > _HIGH_COST * usual)
        if len(rows):
            tried = solve_per_instant(some.take(rows), guess * longer, _NOISE, 8)
            better = tried.cost < _FAR_BETTER * best.cost[rows]
            best = best.with_rows(rows[better], tried.rows(better))
    return best


def _adjust_together(
    some: LiftedObservations,
    solutions: Solutions,
    centres: Float[Real, "V 3"],
    inliers: Bool[npt.NDArray[np.bool_], "N"],
) -> tuple[Problem, State]:
    """The inlier instants, aligned to one world and adjusted together."""
    weight = np.any(some.confidence > 0, axis=-1).astype(float)
    into = align(solutions.rig.centres, centres, weight, scale=True)
    joints = into.apply(solutions.joints)
    back = np.swapaxes(into.R, -1, -2)
    rig = Rig.pinhole(
        some.cameras,
        solutions.rig.image_px,
        view_from_world=(solutions.rig.view_from_world @ back[:, None])[inliers],
        centres=centres,
        focal_px=solutions.rig.focal_px[inliers],
    )
    kept = some.take(inliers)
    bones = bones_of(some.joint_set)
    problem = Problem(
        keypoints=weighted_keypoints(kept, 2 * _NOISE),
        bones=bones,
        body=body_in_world(kept, rig.view_from_world),
        guess_log_focal=np.log(some.size_px.max(1).astype(float)),
        is_given=np.zeros(len(some.cameras), bool),
        reference=0,
        priors=Priors(),
    )
    state = State(rig=rig, joints=joints[inliers], lengths=measures_of(joints, bones))
    for _ in range(3):
        state, _ = adjust(problem, state, 8)
        noise = max(estimate_noise(problem.keypoints, state.rig, state.joints), LEAST_NOISE)
        problem = replace(problem, keypoints=replace(problem.keypoints, noise_share=noise))
    return problem, state


def solve_per_instant(
    observations: LiftedObservations, focal_px: Float[Real, "V"], noise_share: float, rounds: int
) -> Solutions:
    """Panning rigs and joints of each instant alone, each in a world of its own: the lifter's body
    frame, unit mean bones. They begin at the lifter's rotations and guessed focal lengths (px).
    `noise_share` is sigma over the person's extent, `rounds` those at each of two noises.
    """
    body = mean_body(observations)
    views = observations.view_from_canonical.astype(float)
    image = observations.size_px.astype(float)
    keypoints = weighted_keypoints(observations, noise_share)
    roots, _ = roots_in_views(keypoints, image / 2, body, views, focal_px)
    rig = Rig.pinhole(
        observations.cameras,
        image,
        view_from_world=np.asarray(nearest_rotation(views), float),
        centres=-np.einsum("nvji,nvj->nvi", views, roots),
        focal_px=np.broadcast_to(focal_px, views.shape[:2]),
    )
    bones = bones_of(observations.joint_set)
    prior = BodyPrior(
        joint_set=observations.joint_set,
        bones=bones,
        lengths=measures_of(body, bones),
        body=body,
        bone_sigma=2 * BONE_SIGMA,
        lifter_sigma=LIFTER_SIGMA,
    )
    state, cameras = Solutions(rig=rig, joints=body, cost=np.zeros(len(body))), weak_prior(rig)
    for level in (4 * noise_share, noise_share):
        coarse = replace(keypoints, noise_share=level)
        state = adjust_per_instant(coarse, prior, state, cameras, columns=FREE, rounds=rounds)
    return state
