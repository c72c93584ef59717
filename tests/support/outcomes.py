"""The outcome of a calibration, for what draws one."""

from dataclasses import replace
from typing import Any

import numpy as np

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.reconstruction.reconstruct import Reconstruction
from cvsf.skeleton import H36M_16
from tests.support.made_calibration import calibration_of
from train.batches.probe_inputs import STANDING
from train.data.calibration_input import CalibrationInput
from train.evaluation.calibrate_and_score import CalibrationResult


def outcome(frames: int = 8, **changed: Any) -> CalibrationResult:
    """Four cameras 4 m around a body that walks past them, a metre and a half up."""
    around = np.array([0.3, 1.8, 3.5, 5.0])
    eyes = np.stack([4 * np.cos(around), 4 * np.sin(around), np.full(4, 1.5)], -1)
    back = -eyes * [1, 1, 0] / 4
    right = np.cross(back, [0, 0, 1.0])
    turn = np.stack([right, np.tile([0, 0, -1.0], (4, 1)), back], 1)
    rig = Rig(
        cameras=("cam0", "cam1", "cam2", "cam3"),
        image_px=np.tile([640.0, 480], (4, 1)),
        view_from_world=turn,
        translation=-np.einsum("vij,vj->vi", turn, eyes),
        focal_px=np.full(4, 500.0),
        centre_px=np.tile([320.0, 240], (4, 1)),
        distortion=np.zeros((4, 5)),
        delay_s=np.zeros(4),
    )
    calibration = calibration_of(rig, uncertainty=0.01, instants=frames, scale_source="height")
    body = np.array([STANDING[joint] for joint in H36M_16.joints]) + np.array([0, 0, 0.9])
    joints = body + np.linspace(-1, 1, frames)[:, None, None] * [1.0, 0, 0]
    facts: dict[str, Any] = {
        "name": "run_07",
        "duration_s": 2.0,
        "seconds": 1.0,
        "triangulation_s": 0.1,
        "calibration": calibration,
        "reconstruction": Reconstruction(
            joints=joints,
            deviation=np.zeros(joints.shape[:2]),
            views_seen=np.full(joints.shape[:2], 4),
            residual_share=np.zeros((frames, 4)),
        ),
        "t_s": np.linspace(5, 7, frames),
    }
    return CalibrationResult(**facts | changed)


def observed(made: CalibrationResult, cameras: tuple[str, ...] = ()) -> LiftedObservations:
    """What those cameras saw of it, to the pixel; names that the rig lacks see what its first one
    does. Without names, the rig's own cameras.
    """
    assert made.calibration is not None
    assert made.reconstruction is not None
    rig = made.calibration.rig
    cameras = cameras or rig.cameras
    shown = rig.project(made.reconstruction.joints)
    views = [rig.cameras.index(name) if name in rig.cameras else 0 for name in cameras]
    shape = (*shown[:, views].shape[:3],)
    return LiftedObservations(
        joint_set=H36M_16,
        cameras=cameras,
        image_px=np.full((*shape[:2], 2), (640, 480), np.float32),
        t_s=made.t_s,
        keypoints_px=shown[:, views].astype(np.float32),
        confidence=np.ones(shape, np.float32),
        canonical=np.zeros((*shape, 3), np.float32),
        view_from_canonical=np.zeros((*shape[:2], 3, 3), np.float32),
    )


def filmed(made: CalibrationResult, cameras: tuple[str, ...] = ()) -> CalibrationInput:
    """The session that it was made from, as `observed`."""
    seen = observed(made, cameras)
    fused = np.zeros((len(seen), len(H36M_16), 3), np.float32)
    return CalibrationInput(name=made.name, observations=seen, fused=fused, truth=None)


def with_observations(made: CalibrationResult) -> CalibrationResult:
    """It, with what the rig's own cameras saw."""
    return replace(made, observations=observed(made))
