"""Cameras that pan and zoom on tripods: every instant alone, then one rig all instants agree on.

An instant by itself nearly tells where its cameras stand. What the instants share are the centres:
the rigs are laid over each other and the median is taken; then everything is adjusted together.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import adjust, covariance
from cvsf.calibration.degeneracy import Undetermined, refuse_unsure
from cvsf.calibration.normal_equations import Beliefs, Problem, State
from cvsf.calibration.per_instant_adjustment import FREE, Alone, adjust_alone, chosen
from cvsf.calibration.ptz_smoothing import follow, free
from cvsf.calibration.result import LEAST_NOISE, Spread, concluded
from cvsf.calibration.rig_averaging import agreed_centres, lay_over
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import CENTRE, Cameras, noise_of, pixels_of
from cvsf.multiview.residuals import BONE_SIGMA, LIFTER_SIGMA, bones_of, measures_of
from cvsf.multiview.rig import Calibration
from cvsf.multiview.rotation import nearest_rotation
from cvsf.multiview.weak_perspective import mean_body, roots_in_views
from cvsf.reconstruction.pose_solver import Stance, turned_body

Real = npt.NDArray[np.float64]


_INSTANTS = 64
_GUESSES = (0.75, 1.5, 3.0, 6.0)  # focal length over the picture's longer side
_FAR_BETTER = 0.7
_NOISE = 0.012  # of the person's extent
LEAST_PANNING = 3
"""Views an instant needs to say where its cameras stand."""
_LEAST_INSTANTS = 10


def calibrate_panning(observations: LiftedObservations) -> Calibration:
    """Cameras of every instant, the mean bone 1; Undetermined says why there are none."""
    seen = np.any(observations.confidence > 0, axis=-1)
    rows = _best_rows(observations, seen)
    some = observations.take(rows)
    alone = _each_alone(some)
    centres, agreed = agreed_centres(alone.cameras.centres, seen[rows], alone.cost)
    for camera, saw in zip(observations.cameras, seen[rows][agreed].sum(0), strict=True):
        if saw < LEAST_PANNING:
            raise Undetermined(
                f"{camera} saw the athlete beside two other cameras in {saw} instants that agree, "
                f"expected {LEAST_PANNING} or more; film longer, or leave it out"
            )
    problem, state = _together(some, alone, centres, agreed)
    found, local = follow(observations, rows[agreed], problem, state)
    shared, _ = covariance(problem, state)
    centre = np.linalg.norm(shared[:, CENTRE], axis=-1)
    away = np.linalg.norm(found.cameras.in_views(found.joints).mean((0, 2)), axis=-1)
    result = concluded(
        observations,
        (pixels_of(observations, problem.pixels.noise), found.cameras, found.joints),
        state.lengths[problem.bones.measure],
        Spread(
            rotation=np.linalg.norm(local[:, :3], axis=-1),
            centre=centre,
            log_focal=np.hypot(local[:, 3], centre / away),  # a lens zooms with its distance
        ),
        instants=len(state.joints),
    )
    refuse_unsure(result)
    return result


def _best_rows(
    observations: LiftedObservations, seen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Instants that many views saw well, spread over the take."""
    views = len(observations.cameras)
    if views < LEAST_PANNING:
        raise Undetermined(
            f"{views} panning cameras cannot be placed, expected {LEAST_PANNING} or more"
        )
    usable = np.flatnonzero(seen.sum(1) >= LEAST_PANNING)
    if len(usable) < _LEAST_INSTANTS:
        raise Undetermined(
            f"{len(usable)} instants were seen by {LEAST_PANNING} views, expected "
            f"{_LEAST_INSTANTS} or more; film longer"
        )
    worth = observations.confidence[usable].mean((1, 2))
    bins = np.array_split(np.arange(len(usable)), min(_INSTANTS, len(usable)))
    return np.asarray(usable[[part[worth[part].argmax()] for part in bins]])


def _each_alone(some: LiftedObservations) -> Alone:
    """From the guess of the focal lengths that fits best on the whole; instants that another fits
    far better, from that one.
    """
    longer = some.size_px.max(1).astype(float)
    tries = [alone_from(some, guess * longer, _NOISE, 8) for guess in _GUESSES]
    best = min(tries, key=lambda tried: float(np.median(tried.cost)))
    for other in tries:
        best = chosen(other.cost < _FAR_BETTER * best.cost, other, best)
    return best


def _together(
    some: LiftedObservations, alone: Alone, centres: Real, agreed: npt.NDArray[np.bool_]
) -> tuple[Problem, State]:
    """The instants that agree, moved into one world and adjusted together."""
    seen = np.any(some.confidence > 0, axis=-1)
    rotation, shift, scale = lay_over(alone.cameras.centres, centres, seen)
    back = np.swapaxes(rotation, -1, -2)
    joints = scale[:, None, None] * alone.joints @ back + shift[:, None]
    cameras = replace(
        alone.cameras,
        view_from_world=(alone.cameras.view_from_world @ back[:, None])[agreed],
        log_focal=alone.cameras.log_focal[agreed],
        centres=centres,
    )
    kept = some.take(agreed)
    bones = bones_of(some.joint_set)
    problem = Problem(
        pixels=pixels_of(kept, 2 * _NOISE),
        bones=bones,
        body=turned_body(kept, cameras.view_from_world),
        guess_log_focal=np.log(some.size_px.max(1).astype(float)),
        reference=0,
        beliefs=Beliefs(),
    )
    state = State(cameras=cameras, joints=joints[agreed], lengths=measures_of(joints, bones))
    for _ in range(3):
        state, _ = adjust(problem, state, 8)
        noise = max(noise_of(problem.pixels, state.cameras, state.joints), LEAST_NOISE)
        problem = replace(problem, pixels=replace(problem.pixels, noise=noise))
    return problem, state


def alone_from(
    observations: LiftedObservations, focal_px: Real, noise: float, rounds: int
) -> Alone:
    """Every instant from the lifter's own rotations and a guessed focal length (V,)."""
    body = mean_body(observations)
    views = observations.view_from_canonical.astype(float)
    middle = observations.size_px.astype(float) / 2
    inside, _ = roots_in_views(pixels_of(observations, noise), middle, body, views, focal_px)
    shape = views.shape[:2]
    count = len(observations.cameras)
    start = Alone(
        cameras=Cameras(
            view_from_world=np.asarray(nearest_rotation(views), float),
            centres=-np.einsum("nvji,nvj->nvi", views, inside),
            log_focal=np.broadcast_to(np.log(focal_px), shape).copy(),
            centre_px=middle,
            radial=np.zeros(count),
            delay_s=np.zeros(count),
        ),
        joints=body,
        cost=np.zeros(len(body)),
    )
    bones = bones_of(observations.joint_set)
    stance = Stance(
        joint_set=observations.joint_set,
        bones=bones,
        lengths=measures_of(body, bones),
        body=body,
        bone_sigma=2 * BONE_SIGMA,
        lifter_sigma=LIFTER_SIGMA,
    )
    state, wish = start, free(start.cameras)
    for level in (4 * noise, noise):
        state = adjust_alone(
            pixels_of(observations, level), stance, state, wish, columns=FREE, rounds=rounds
        )
    return state
