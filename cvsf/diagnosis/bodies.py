"""One body a person: cameras and bones of a session in which people follow one another.

A fit with one body makes an adult and a child one person of a size between them, and the cameras
wrong. Here the joints of all instants give the cameras, and each person's own the bones.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.bundle_adjustment import deviations, readjust
from cvsf.calibration.degeneracy import Undetermined, refuse_uncertain
from cvsf.calibration.lenses import start_focal_px
from cvsf.calibration.normal_equations import Priors, Problem, State
from cvsf.calibration.result import CameraDeviations, calibration_result
from cvsf.diagnosis.person_changes import PersonSpans, bone_lengths, find_person_spans
from cvsf.multiview.body import Body, People
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.multiview.residuals import bones_of
from cvsf.multiview.rig import CENTRE, FOCAL, ROTATION, Rig
from cvsf.reconstruction.pose_solver import body_prior, solve_with_rejection
from cvsf.shapes import Int

# guesses, not measured
_INSTANTS = 64  # of each person
_ROUNDS = 3  # of people found with the cameras that the people before gave
_READJUSTMENTS = 4
_FIRST_NOISE = 0.015  # of the person's extent
_MOST_NOISE = 0.015  # of the person's extent, with a body each; above it, people do not explain it
_SUSPICION = 0.05
"""Difference of log sizes, with cameras of one body, from which parts of the time are fitted alone:
such cameras hide a part of the difference. A guess, not measured."""
_PARTS = 3  # of the time, of which the first and the last are fitted alone

Fit = Callable[[LiftedObservations], Calibration]
"""Calibrates still cameras from one body; Undetermined if it cannot."""


def separate_bodies(
    observations: LiftedObservations, calibration: Calibration | None, fit: Fit
) -> Calibration | None:
    """The calibration with a body for each of the people who follow one another, its cameras
    adjusted again; None if the session shows one person, or bodies do not explain it.

    `calibration` is of still cameras, found with one body, and its delays stay; None if one body
    did not fit. The first and the last third of the
    time are fitted alone too, and the cameras of least noise are taken. The unit of length is the
    mean bone of the first person.
    """
    found = []
    if calibration is not None:
        if calibration.rig.is_panning:
            return None
        used = _as_calibrated(observations, calibration)
        if find_person_spans(used, calibration.rig, least=_SUSPICION) is None:
            return None
        with_bodies = _of_rig(used, calibration)
        found.extend([] if with_bodies is None else [with_bodies])
    count = len(observations) // _PARTS
    for part in (slice(0, count), slice(len(observations) - count, None)):
        try:
            fitted = fit(observations.take(part))
        except (Undetermined, ValueError):
            continue
        if fitted.rig.is_panning:
            continue
        with_bodies = _of_rig(_as_calibrated(observations, fitted), fitted)
        found.extend([] if with_bodies is None else [with_bodies])
    return min(found, key=lambda calibration: calibration.noise_share, default=None)


def _as_calibrated(
    observations: LiftedObservations, calibration: Calibration
) -> LiftedObservations:
    """The observations of the rig's cameras, with its delays corrected and its reflection."""
    rig = calibration.rig
    if observations.cameras != rig.cameras:
        observations = observations.of_views([observations.cameras.index(c) for c in rig.cameras])
    observations = observations.mirrored() if calibration.mirrored else observations
    return time_aligned(observations, rig.delay_s)


def _of_rig(observations: LiftedObservations, calibration: Calibration) -> Calibration | None:
    """The people found with these cameras, which are adjusted until the people stay the same."""
    rig = calibration.rig
    spans = find_person_spans(observations, rig)
    for _ in range(_ROUNDS):
        if spans is None:
            return None
        try:
            found = _adjusted(observations, calibration, rig, spans)
        except (Undetermined, np.linalg.LinAlgError):
            return None
        again = find_person_spans(observations, found.rig)
        if again is not None and again.is_like(spans):
            return found if found.noise_share < _MOST_NOISE else None
        spans, rig = again, found.rig
    return None


def _adjusted(
    observations: LiftedObservations, calibration: Calibration, rig: Rig, spans: PersonSpans
) -> Calibration:
    """Cameras and bodies of given spans; Undetermined if the cameras are uncertain."""
    several = np.flatnonzero((observations.confidence > 0).any(-1).sum(1) > 1)
    person = spans.person_id(observations.t_s)[several]
    rows = np.sort(np.concatenate([_spread(several[person == p]) for p in np.unique(person)]))
    chosen, person = observations.take(rows), spans.person_id(observations.t_s)[rows]
    problem, state = _first_state(chosen, rig, person)
    for _ in range(_READJUSTMENTS):
        problem, state = readjust(problem, state, 8)
    deviation, _ = deviations(problem, state)
    bodies = tuple(
        Body(joint_set=observations.joint_set, bones=lengths[problem.bones.measure])
        for lengths in state.lengths
    )
    result = calibration_result(
        problem.keypoints,
        state.rig,
        state.joints,
        bodies[0],
        CameraDeviations(
            rotation=np.linalg.norm(deviation[:, ROTATION], axis=-1),
            centre=np.linalg.norm(deviation[:, CENTRE], axis=-1),
            log_focal=deviation[:, FOCAL],
        ),
        instants=len(chosen),
        mirrored=calibration.mirrored,
    )
    refuse_uncertain(result)
    people = People(bodies=bodies, change_s=spans.change_s, span_person=spans.person)
    return replace(
        result,
        people=people,
        ambiguous=calibration.ambiguous,
        lenses=calibration.lenses,
        position_within_share=calibration.position_within_share,
    )


def _first_state(
    chosen: LiftedObservations, rig: Rig, person: Int[npt.NDArray[np.intp], "N"]
) -> tuple[Problem, State]:
    """The problem and its first state: joints of every person with own triangulated bones, in mean
    bones of the first.
    """
    bones = bones_of(chosen.joint_set)
    lengths = np.stack(
        [bone_lengths(chosen.take(person == p), rig) for p in range(int(person.max()) + 1)]
    )
    unit = float(lengths[0][bones.measure].mean())
    lengths, rig = lengths / unit, rig.transformed(np.eye(3), np.zeros(3), 1 / unit)
    weighted = weighted_keypoints(chosen, _FIRST_NOISE)
    joints, body = np.empty((2, *chosen.confidence[:, 0].shape, 3))
    weight = weighted.weight.copy()
    keypoints_px = weighted.keypoints_px.copy()
    for number, own in enumerate(lengths):
        rows = np.flatnonzero(person == number)
        prior = body_prior(chosen.take(rows), rig.view_from_world, own)
        kept, (joints[rows], _) = solve_with_rejection(weighted.take(rows), rig, prior)
        body[rows], weight[rows], keypoints_px[rows] = prior.body, kept.weight, kept.keypoints_px
    longer = chosen.size_px.max(1).astype(float)
    problem = Problem(
        keypoints=replace(weighted, weight=weight, keypoints_px=keypoints_px),
        bones=bones,
        body=body,
        guess_log_focal=np.log(start_focal_px(chosen.intrinsics, longer)),
        is_given=chosen.is_lens_known,
        reference=int(chosen.confidence.sum((0, 2)).argmax()),
        priors=Priors(estimate_radial=bool(rig.distortion.any())),
        person=person,
    )
    return problem, State(rig=rig, joints=joints, lengths=lengths)


def _spread(rows: Int[npt.NDArray[np.intp], "N"]) -> Int[npt.NDArray[np.intp], "M"]:
    at = np.linspace(0, len(rows) - 1, min(_INSTANTS, len(rows))).round().astype(int)
    return np.asarray(rows[at])
