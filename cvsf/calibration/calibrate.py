"""Self-calibration of cameras from the athlete: a first guess, then bundle adjustment.

The joints are the calibration points; there is no board and no ground truth. Cameras that the
motion does not determine are refused with a reason.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import adjust, deviations, readjust
from cvsf.calibration.degeneracy import Undetermined, refuse_uncertain
from cvsf.calibration.initialise import AveragedRotations, average_rotations, first_guess
from cvsf.calibration.lenses import (
    PAIR_DEVIATIONS,
    contradicted_lens_messages,
    contradicted_lenses,
    lens_drop,
    start_focal_px,
    with_estimated_lenses,
    with_lenses,
    wrong_lens_messages,
)
from cvsf.calibration.mirror_ambiguity import (
    MIRROR_GAIN,
    MIRRORED_PICTURES,
    PAIR,
    Fitted,
    decide_mirror,
    depth_ambiguity,
)
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.calibration.outlier_instants import without_outlier_instants
from cvsf.calibration.plausible import plausible, useful_views
from cvsf.calibration.ptz import calibrate_panning
from cvsf.calibration.result import CameraDeviations, calibration_result
from cvsf.calibration.time_offsets import with_velocities, without_velocities
from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import estimate_noise, weighted_keypoints
from cvsf.multiview.residuals import bones_of, measures_of
from cvsf.multiview.rig import CENTRE, FOCAL, ROTATION
from cvsf.multiview.weak_perspective import mean_body
from cvsf.reconstruction.pose_solver import body_prior, solve_with_rejection

Real = npt.NDArray[np.float64]

# guesses, not measured, down to _FIRST_NOISE
_INSTANTS, _FEW_INSTANTS = 64, 16
_MORE_INSTANTS, _REFINING_ROUNDS = 128, 4
_OFFSET_ROUNDS, _SETTLED = 12, 0.02  # until delays change by less, in intervals
_READJUSTMENTS = 3
HOPELESS_NOISE = 0.05
"""2D noise over the person's extent above which still cameras are not looked at closer: the cameras
move, or the views do not show one person."""
NO_FIT = "no cameras fit the keypoints ({}); are they of one person?"
_GUESSES = (0.4, 0.75, 1.5, 3.0)  # focal length over the picture's longer side
_FIRST_NOISE = 0.03  # of the person's extent


def calibrate(
    observations: LiftedObservations,
    *,
    moving: Literal["still", "panning"] = "still",
    offsets: bool = False,
    lenses: bool = False,
) -> Calibration:
    """Self-calibration: the rig in the axes of its first camera at the first instant, the mean bone
    1. Undetermined (no Refusal) with the reason, if the motion does not determine the cameras, a
    picture size is not known, or the instants are not in order.

    `moving`: the cameras stand still, or pan and zoom on their tripods. `offsets` estimates the
    time offset of each camera, `lenses` its distortion and principal
    point where they are determined, only for still cameras. A camera that saw the
    athlete together with others in fewer than 5 instants is not in the rig. What the views do not
    agree on is not looked for: `cvsf.diagnosis.calibrate_take` does.
    """
    observations = plausible(observations)
    observations = observations.of_views(useful_views(observations))
    if moving == "panning":
        try:
            return calibrate_panning(observations)
        except np.linalg.LinAlgError as error:
            raise Undetermined(NO_FIT.format(error)) from error
    found = fit_still(observations, offsets=offsets, lenses=lenses)
    refuse_uncertain(found)
    return found


def fit_still(
    observations: LiftedObservations, *, offsets: bool = False, lenses: bool = False
) -> Calibration:
    """The still cameras of least cost, as `calibrate` finds them, but nothing is refused for its
    standard deviations. The observations are plausible, and every view is a useful one.
    Undetermined if no cameras can be computed.
    """
    try:
        return _fit_still(observations, offsets=offsets, lenses=lenses)
    except np.linalg.LinAlgError as error:
        raise Undetermined(NO_FIT.format(error)) from error


def _fit_still(
    observations: LiftedObservations,
    *,
    offsets: bool,
    lenses: bool,
    others_were_wrong: bool = False,
) -> Calibration:
    chosen = chosen_instants(observations, _INSTANTS)
    fitted, ambiguity = _initial_fit(chosen)
    if len(observations) > _INSTANTS:
        fitted = _refined(observations, fitted)
    if len(chosen.cameras) == PAIR:
        fitted = _readjusted_without_outlier_instants(fitted)
        ambiguity = ambiguity or depth_ambiguity(fitted)
    elif fitted.mirrored:
        ambiguity = MIRRORED_PICTURES
    chosen, problem, state = fitted.chosen, fitted.problem, fitted.state
    given = observations.intrinsics
    interval_s = chosen.interval_s
    contradicted = contradicted_lenses(problem, state, interval_s, others_were=others_were_wrong)
    wrong, is_pair = contradicted.views, len(chosen.cameras) == PAIR
    if given is not None and wrong and not is_pair:
        without = replace(observations, intrinsics=given.without(wrong))
        found = _fit_still(without, offsets=offsets, lenses=lenses, others_were_wrong=True)
        return replace(found, lenses=wrong_lens_messages(found, given, wrong))
    said: dict[str, str] = {}
    if lenses:
        problem, state, said = with_estimated_lenses(problem, state)
    if given is not None and is_pair:
        said = said | contradicted_lens_messages(chosen.cameras, given, contradicted)
    for _ in range(_OFFSET_ROUNDS if offsets else 0):
        problem = with_velocities(observations, chosen, problem, state)
        before_s = state.rig.delay_s
        problem, state = readjust(problem, state, rounds=8)
        if np.abs(state.rig.delay_s - before_s).max() < _SETTLED * observations.interval_s:
            break
    if offsets:
        problem = without_velocities(observations, chosen, problem, state)
        problem, state = readjust(problem, state, rounds=8)
    deviation, _ = deviations(problem, state)
    result = calibration_result(
        problem.keypoints,
        state.rig,
        state.joints,
        Body(joint_set=observations.joint_set, bones=state.lengths[problem.bones.measure]),
        CameraDeviations(
            rotation=np.linalg.norm(deviation[:, ROTATION], axis=-1),
            centre=np.linalg.norm(deviation[:, CENTRE], axis=-1),
            log_focal=deviation[:, FOCAL],
        ),
        instants=len(chosen),
        mirrored=fitted.mirrored,
    )
    drop = 0.0 if lenses else lens_drop(problem, state)
    return replace(
        result,
        ambiguous=ambiguity,
        lenses=said,
        lens_drop=drop,
        position_within_share=_position_within_share(result, observations),
    )


def _position_within_share(found: Calibration, observations: LiftedObservations) -> float | None:
    """How far two cameras may be off if a lens is not known; None for others."""
    if len(found.rig.cameras) != PAIR or observations.is_lens_known.all():
        return None
    return PAIR_DEVIATIONS * float(found.uncertainty.position_share.max())


def _initial_fit(chosen: LiftedObservations) -> tuple[Fitted, str]:
    """The fit with the lifter's poses or, if it is better, with their reflections in depth; and a
    sentence if that is not certain. Where neither can be right, the former.
    """
    few = _spread(chosen, _FEW_INSTANTS)
    guess, problem, state, cost = _best_of(few, _GUESSES)
    noise = estimate_noise(problem.keypoints, state.rig, state.joints)
    hopeless = len(chosen.cameras) > PAIR and noise > HOPELESS_NOISE
    if not hopeless and _best_of(few.mirrored(), (guess,))[-1] < MIRROR_GAIN * cost:
        return decide_mirror(chosen, _fitted_from)
    problem, state = _fitted_to(chosen, problem, state)
    return Fitted(chosen=chosen, problem=problem, state=state, mirrored=False), ""


def _refined(observations: LiftedObservations, fitted: Fitted) -> Fitted:
    """The fit of more instants, from that of a few."""
    chosen = chosen_instants(observations, _MORE_INSTANTS)
    chosen = chosen.mirrored() if fitted.mirrored else chosen
    problem, state = _extended(chosen, fitted.problem, fitted.state)
    problem, state = readjust(problem, state, rounds=_REFINING_ROUNDS)
    return replace(fitted, chosen=chosen, problem=problem, state=state)


def _readjusted_without_outlier_instants(fitted: Fitted) -> Fitted:
    """The fit of the instants that it explains."""
    fitting = without_outlier_instants(fitted)
    problem, state = fitting.problem, fitting.state
    for _ in range(_READJUSTMENTS if fitting is not fitted else 0):
        problem, state = readjust(problem, state, rounds=8)
    return replace(fitting, problem=problem, state=state)


def _fitted_from(chosen: LiftedObservations, start: LiftedObservations) -> tuple[Problem, State]:
    """All chosen instants, from cameras that some of those of `start` gave."""
    _, problem, state, _ = _best_of(_spread(start, _FEW_INSTANTS), _GUESSES)
    return _fitted_to(chosen, problem, state)


def _fitted_to(chosen: LiftedObservations, problem: Problem, state: State) -> tuple[Problem, State]:
    """All chosen instants, from the adjustment of a few."""
    problem, state = _extended(chosen, *readjust(problem, state, rounds=8))
    for _ in range(_READJUSTMENTS):
        problem, state = readjust(problem, state, rounds=8)
    return problem, state


def _best_of(
    few: LiftedObservations, guesses: tuple[float, ...]
) -> tuple[float, Problem, State, float]:
    rotations = average_rotations(few)
    if few.is_lens_known.all():
        guesses = guesses[:1]  # they differ in nothing
    tries = [(guess, *_adjusted(few, rotations, guess)) for guess in guesses]
    return min(tries, key=lambda tried: tried[-1])


def chosen_instants(observations: LiftedObservations, most: int) -> LiftedObservations:
    """At most `most` instants that two or more views saw, spread over the whole time, in order; of
    each part of the time the one of most confidence. ValueError if there is no such instant.
    """
    views = np.any(observations.confidence > 0, axis=-1)
    several = views.sum(1) > 1
    usable = np.flatnonzero(several)
    worth = observations.confidence[usable].mean((1, 2)) * views[usable].sum(1)
    bins = np.array_split(np.arange(len(usable)), min(most, len(usable)))
    return observations.take(usable[[part[worth[part].argmax()] for part in bins]])


def _spread(observations: LiftedObservations, most: int) -> LiftedObservations:
    rows = np.linspace(0, len(observations) - 1, min(most, len(observations))).round().astype(int)
    return observations.take(rows)


def _adjusted(
    few: LiftedObservations, rotations: AveragedRotations, guess: float
) -> tuple[Problem, State, float]:
    """A few instants adjusted at a coarse noise, from one guessed focal length."""
    longer, given = few.size_px.max(1).astype(float), few.intrinsics
    rig, joints = first_guess(few, rotations, start_focal_px(given, guess * longer))
    rig = with_lenses(rig, given)
    body = mean_body(few) @ np.swapaxes(rotations.world_from_canonical, -1, -2)
    bones = bones_of(few.joint_set)
    problem = Problem(
        keypoints=weighted_keypoints(few, _FIRST_NOISE),
        bones=bones,
        body=body,
        guess_log_focal=np.log(start_focal_px(given, longer)),
        is_given=few.is_lens_known,
        reference=rotations.reference,
        priors=Priors(),
    )
    state = State(rig=rig, joints=joints, lengths=measures_of(body, bones))
    state, cost = adjust(problem, state, 12)
    return problem, state, cost


def _extended(chosen: LiftedObservations, problem: Problem, state: State) -> tuple[Problem, State]:
    """All chosen instants, reconstructed with the cameras that the few instants gave."""
    keypoints = weighted_keypoints(chosen, problem.keypoints.noise_share)
    prior = body_prior(chosen, state.rig.view_from_world, state.lengths)
    keypoints, (joints, _) = solve_with_rejection(keypoints, state.rig, prior)
    return replace(problem, keypoints=keypoints, body=prior.body), replace(state, joints=joints)
