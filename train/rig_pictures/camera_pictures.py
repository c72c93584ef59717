"""The best and the worst picture of every camera of a calibrated session, with what belongs on it.

A picture belongs to an instant by its exposure, not by its stamp, and to the camera in whose place
the calibration has it: pictures of exchanged cameras are exchanged back, mirrored ones mirrored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.shapes import Bool, Float, Mask, Picture, Real
from train.data.calibration_input import CalibrationInput
from train.data.images import stills
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.view_errors import ViewErrors, view_errors

Cell = tuple[int, int]
"""Number of an instant and of a camera of the rig."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What a camera of a rig saw at one instant."""

    picture: Picture | None
    """RGB, None if there is none."""
    image_px: Float[Real, "2"]
    """Width and height of its pictures, known without one too."""
    keypoints_px: Float[Real, "J 2"]
    is_observed: Bool[Mask, "J"]
    is_known: Bool[Mask, "J"]
    """Joints that any view observed; the others come from the bones and the lifter."""
    projected_px: Float[Real, "J 2"]
    error_px: float
    """Median over the observed joints."""
    error_share: float
    """The same over the person's extent."""
    t_s: float
    """Since the first instant of the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraPictures:
    """What a camera saw at its instants of the least and of the largest error."""

    camera: str
    median_px: float
    best: Shot
    worst: Shot


def camera_pictures(
    outcome: CalibrationResult, session: CalibrationInput, file: Path, also: int
) -> tuple[list[CameraPictures | None], dict[int, Picture]]:
    """The pictures of every camera of the rig, None for one that has no part in any skeleton; and
    by camera the pictures of the instant `also`. Errors are medians over the observed joints, the
    best and the worst those over the person's extent. `file` is where the session was read from.
    Only of a session that was calibrated and holds its observations, else AssertionError.
    """
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    assert outcome.observations is not None
    rig = outcome.calibration.rig
    aligned = time_aligned(outcome.observations, rig.delay_s)
    errors = view_errors(aligned, rig, outcome.reconstruction)
    chosen = [errors.best_and_worst(view) for view in range(len(rig.cameras))]
    cells = [(row, view) for view, rows in enumerate(chosen) for row in rows or ()]
    there = [(also, view) for view in range(len(rig.cameras))]
    pictures = pictures_of(outcome, session, file, [*cells, *there])
    found: list[CameraPictures | None] = []
    for view, rows in enumerate(chosen):
        if rows is None:
            found.append(None)
            continue
        best, worst = (_shot(outcome, aligned, errors, (row, view), pictures) for row in rows)
        found.append(
            CameraPictures(
                camera=rig.cameras[view],
                median_px=errors.median_px(view),
                best=best,
                worst=worst,
            )
        )
    return found, {view: pictures[also, view] for _, view in there if (also, view) in pictures}


def pictures_of(
    outcome: CalibrationResult, session: CalibrationInput, file: Path, cells: Sequence[Cell]
) -> dict[Cell, Picture]:
    """The RGB pictures that show those cameras' instants, as far as there are any. Only of a
    session that was calibrated and holds its observations, else AssertionError.
    """
    source = {cell: at for cell in cells if (at := _source(outcome, session, cell)) is not None}
    found = stills(file, session.observations.cameras, sorted(set(source.values())))
    assert outcome.calibration is not None
    cameras = outcome.calibration.rig.cameras
    pictures = {}
    for (row, view), place in source.items():
        if (picture := found.get(place)) is not None:
            is_mirrored = cameras[view] in outcome.mirrored_back
            pictures[row, view] = picture[:, ::-1] if is_mirrored else picture
    return pictures


def _source(outcome: CalibrationResult, session: CalibrationInput, cell: Cell) -> Cell | None:
    """Which picture of which recorded camera shows it; None if that is not known. A camera that was
    exchanged has the keypoints of the other one.
    """
    assert outcome.calibration is not None
    assert outcome.observations is not None
    (row, view), rig = cell, outcome.calibration.rig
    recorded = session.observations
    shown_s = outcome.t_s[row] - rig.delay_s[view]
    at = int(np.abs(recorded.t_s - shown_s).argmin())
    camera = rig.cameras[view]
    own = recorded.cameras.index(camera)
    if camera not in outcome.corrected or camera in outcome.mirrored_back:
        return at, own
    keypoints = outcome.observations.keypoints_px[at, view]
    for one in (own, *range(len(recorded.cameras))):
        if np.array_equal(recorded.keypoints_px[at, one], keypoints, equal_nan=True):
            return at, one
    return None


def _shot(
    outcome: CalibrationResult,
    aligned: LiftedObservations,
    errors: ViewErrors,
    cell: Cell,
    pictures: Mapping[Cell, Picture],
) -> Shot:
    assert outcome.calibration is not None
    assert outcome.reconstruction is not None
    (row, view), joints = cell, outcome.reconstruction.joints
    rig = outcome.calibration.rig.rows(np.array([row]))
    return Shot(
        picture=pictures.get(cell),
        image_px=rig.image_px[view].astype(float),
        keypoints_px=aligned.keypoints_px[row, view].astype(float),
        is_observed=np.asarray(aligned.confidence[row, view] > 0),
        is_known=np.asarray(outcome.reconstruction.views_seen[row] > 0),
        projected_px=rig.project(joints[[row]])[0, view],
        error_px=float(errors.px[cell]),
        error_share=float(errors.share[cell]),
        t_s=float(outcome.t_s[row] - outcome.t_s[0]),
    )
