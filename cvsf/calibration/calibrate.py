"""Cameras found from the athlete: start from the lifter's rotations, adjust, doubt, adjust again.

The joints themselves are the calibration points; no board, no truth. What the motion does not
determine is refused with a reason.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import adjust, covariance
from cvsf.calibration.degeneracy import Undetermined, refuse_unsure
from cvsf.calibration.initialise import Turned, average_rotations, first_guess
from cvsf.calibration.normal_equations import Beliefs, Problem, State
from cvsf.calibration.ptz import LEAST_PANNING, calibrate_panning
from cvsf.calibration.result import LEAST_NOISE, Spread, concluded
from cvsf.calibration.time_offsets import in_time, unsmoothed
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import CENTRE, FOCAL, ROTATION, Cameras, noise_of, pixels_of
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import Calibration
from cvsf.multiview.weak_perspective import mean_body
from cvsf.reconstruction.pose_solver import settle_doubting, stance_in

Real = npt.NDArray[np.float64]
Moving = Literal["still", "auto", "panning"]

_INSTANTS, _FEW_INSTANTS = 64, 16
_LEAST_INSTANTS = 5
_OFFSET_ROUNDS = 4
_DOUBTS = 3
_STILL_NOISE = 0.015  # of the extent; still cameras that fit no better may be panning
_OUTSIDE, _LEAST_EXTENT_PX = 10.0, 3.0
"""Sizes of the picture that a joint may be away from its corner; what is smaller is nobody."""
_PANS = 1.3
"""Panning must fit that much better: with more to choose from it always fits a little better."""
_MIRROR_ODDS = 1.1
"""A mirrored lifter must fit that much better: the one we ship learned from bodies, not mirrors."""
_GUESSES = (0.4, 0.75, 1.5, 3.0)  # focal length over the picture's longer side
_FIRST_NOISE = 0.03  # of the person's extent


def calibrate(
    observations: LiftedObservations,
    *,
    moving: Moving = "still",
    offsets: bool = False,
    distortion: bool = False,
) -> Calibration:
    """The cameras in the first one's axes, the mean bone 1; Undetermined says why there are none.

    `moving` cameras pan and zoom on their tripods, `auto` finds out whether they do. `offsets`
    seeks the delay of each still camera's stamps, `distortion` k1 of its lens. A camera that saw
    the athlete hardly ever is not in the rig.
    """
    observations = _of_people(observations)
    observations = observations.of_views(useful_views(observations))
    for camera, size in zip(observations.cameras, observations.size_px, strict=True):
        if not (size > 0).all():
            raise Undetermined(f"the size of the pictures of {camera} is not known; record it")
    try:
        return _calibrated(observations, moving, offsets=offsets, distortion=distortion)
    except np.linalg.LinAlgError as error:
        raise Undetermined(
            f"no cameras explain what was seen ({error}); are these the pixels of one person?"
        ) from error


def _of_people(observations: LiftedObservations) -> LiftedObservations:
    """Without views in which all joints are one point, or lie far outside of the picture."""
    if (np.diff(observations.t_s) < 0).any() or not np.isfinite(observations.t_s).all():
        raise Undetermined("the instants are not in the order of time; sort them by t_s")
    image = np.where(
        observations.size_px > 0, observations.size_px, np.inf
    )  # refused by name below
    reach = _OUTSIDE * image[:, None]
    inside = (np.abs(observations.keypoints_px) < reach).all(-1)
    confidence = np.where(inside, observations.confidence, 0).astype(np.float32)
    seen = replace(observations, confidence=confidence)
    points = pixels_of(seen, 1.0).extent_px < _LEAST_EXTENT_PX
    return replace(seen, confidence=np.where(points[..., None], 0, confidence))


def _calibrated(
    observations: LiftedObservations, moving: Moving, *, offsets: bool, distortion: bool
) -> Calibration:
    if moving == "panning":
        return calibrate_panning(observations)
    try:
        still = _calibrate_still(observations, offsets=offsets, distortion=distortion)
    except Undetermined:
        if moving == "still" or len(observations.cameras) < LEAST_PANNING:
            raise
        return calibrate_panning(observations)
    if moving == "still" or still.noise_share < _STILL_NOISE:
        return still
    try:
        panning = calibrate_panning(observations)
    except Undetermined:
        return still
    return panning if _PANS * panning.noise_share < still.noise_share else still


def _calibrate_still(
    observations: LiftedObservations, *, offsets: bool, distortion: bool
) -> Calibration:
    chosen = chosen_instants(observations, _INSTANTS)
    problem, state, mirrored = _begun(_spread(chosen, _FEW_INSTANTS))
    chosen = chosen.mirrored() if mirrored else chosen
    problem, state = _grown(chosen, problem, state)
    for _ in range(_DOUBTS):
        problem, state = _doubted(problem, state, rounds=8)
    if distortion:
        problem = replace(problem, beliefs=replace(problem.beliefs, seek_radial=True))
        problem, state = _doubted(problem, state, rounds=15)
    for _ in range(_OFFSET_ROUNDS if offsets else 0):
        problem = in_time(observations, chosen, problem, state)
        problem, state = _doubted(problem, state, rounds=8)
    if offsets:
        problem = unsmoothed(observations, chosen, problem, state)
        problem, state = _doubted(problem, state, rounds=8)
    spread, _ = covariance(problem, state)
    result = concluded(
        observations,
        (problem.pixels, state.cameras, state.joints),
        state.lengths[problem.bones.measure],
        Spread(
            rotation=np.linalg.norm(spread[:, ROTATION], axis=-1),
            centre=np.linalg.norm(spread[:, CENTRE], axis=-1),
            log_focal=spread[:, FOCAL],
        ),
        instants=len(chosen),
        mirrored=mirrored,
    )
    refuse_unsure(result)
    return result


def _begun(few: LiftedObservations) -> tuple[Problem, State, bool]:
    """From guessed focal lengths, as lifted or near for far: what fits best, and which it is."""
    guess, problem, state, cost = _best_try(few, _GUESSES)
    other = few.mirrored()
    mirrored = _best_try(other, (guess,))[-1] * _MIRROR_ODDS < cost
    if mirrored:
        _, problem, state, _ = _best_try(other, _GUESSES)
    return (*_doubted(problem, state, rounds=8), mirrored)


def _best_try(
    few: LiftedObservations, guesses: tuple[float, ...]
) -> tuple[float, Problem, State, float]:
    turned = average_rotations(few)
    tries = [(guess, *_tried(few, turned, guess)) for guess in guesses]
    return min(tries, key=lambda tried: tried[-1])


def useful_views(observations: LiftedObservations) -> list[int]:
    """The cameras that saw the athlete beside another one often enough; Undetermined if none."""
    seen = np.any(observations.confidence > 0, axis=-1)
    useful = np.ones(seen.shape[1], bool)
    for _ in range(seen.shape[1]):  # without one camera another may see nobody in company
        together = seen & useful & ((seen & useful).sum(1) > 1)[:, None]
        left = together.sum(0) >= _LEAST_INSTANTS
        if (left == useful).all():
            break
        useful = left
    if useful.sum() < 2:
        raise Undetermined(
            f"of {seen.shape[1]} cameras no two saw the athlete together in {_LEAST_INSTANTS} "
            "instants; film longer, or turn them so that they see the same place"
        )
    return [int(view) for view in np.flatnonzero(useful)]


def chosen_instants(observations: LiftedObservations, most: int) -> LiftedObservations:
    """Instants that two or more views saw well, spread over the take."""
    views = np.any(observations.confidence > 0, axis=-1)
    several = views.sum(1) > 1
    usable = np.flatnonzero(several)
    worth = observations.confidence[usable].mean((1, 2)) * views[usable].sum(1)
    bins = np.array_split(np.arange(len(usable)), min(most, len(usable)))
    return observations.take(usable[[part[worth[part].argmax()] for part in bins]])


def _spread(observations: LiftedObservations, most: int) -> LiftedObservations:
    rows = np.linspace(0, len(observations) - 1, min(most, len(observations))).round().astype(int)
    return observations.take(rows)


def _tried(few: LiftedObservations, turned: Turned, guess: float) -> tuple[Problem, State, float]:
    """The few instants adjusted coarsely from one guessed focal length."""
    longer = few.size_px.max(1).astype(float)
    start = first_guess(few, turned, guess * longer)
    body = mean_body(few) @ np.swapaxes(turned.world_from_canonical, -1, -2)
    bones = bones_of(few.joint_set)
    views = len(few.cameras)
    state = State(
        cameras=Cameras(
            view_from_world=start.view_from_world[None],
            centres=start.centres,
            log_focal=np.log(start.focal_px)[None],
            centre_px=few.size_px.astype(float) / 2,
            radial=np.zeros(views),
            delay_s=np.zeros(views),
        ),
        joints=start.joints,
        lengths=measures_of(body, bones),
    )
    problem = Problem(
        pixels=pixels_of(few, _FIRST_NOISE),
        bones=bones,
        body=body,
        guess_log_focal=np.log(longer),
        reference=int(np.abs(start.view_from_world - np.eye(3)).sum((-2, -1)).argmin()),
        beliefs=Beliefs(),
    )
    state, cost = adjust(problem, state, 12)
    return problem, state, cost


def _doubted(problem: Problem, state: State, rounds: int) -> tuple[Problem, State]:
    """Adjusted with the noise that is really there."""
    noise = noise_of(problem.pixels, state.cameras, state.joints)
    noise = max(noise, problem.pixels.noise / 3, LEAST_NOISE)
    problem = replace(problem, pixels=replace(problem.pixels, noise=noise))
    state, _ = adjust(problem, state, rounds)
    return problem, state


def _grown(chosen: LiftedObservations, problem: Problem, state: State) -> tuple[Problem, State]:
    """All chosen instants in the world that the few have found."""
    pixels = pixels_of(chosen, problem.pixels.noise)
    stance = stance_in(chosen, state.cameras.view_from_world[0], state.lengths)
    pixels, joints, _ = settle_doubting(pixels, state.cameras, stance)
    return replace(problem, pixels=pixels, body=stance.body), replace(state, joints=joints)
