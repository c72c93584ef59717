"""A session against the truth: errors that are known because the skeletons are made from it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capture.simulator.scene import camera_at
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.messages import MultiviewPose, Skeleton
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from cvsf.session.calibrations import CalibrationUpdate, to_event
from cvsf.session.reader import SessionReader
from cvsf.session.statistics import Recordable
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import H36M_16
from runtime.bench.score_views import SCORED, Errors, score
from tests.support.filmed import SIZE, Filmed, engine, film_skier
from tests.support.made_calibration import calibration_of


@dataclass(frozen=True)
class Known:
    take: Filmed
    truth: GroundTruth
    calibration: Calibration


@pytest.fixture(scope="module")
def known() -> Known:
    """Half a second of the slope, its truth, and the cameras as they really stand."""
    take = film_skier(0.5, cams=3)
    count, none = len(take.joints), np.zeros(3)
    rotation = np.stack(
        [camera_at(v, np.zeros(1, np.int64), np.zeros((1, 3)))[0][0] for v in take.views]
    )
    centres = np.stack([view.eye for view in take.views])
    shift = -np.einsum("vij,vj->vi", rotation, centres)
    focal = np.array([view.focal_px for view in take.views])
    local = np.einsum("vij,nkj->nvki", rotation, take.joints) + shift[:, None]
    rig = Rig(
        cameras=take.observations.cameras,
        image_px=np.tile(np.array(SIZE, float), (3, 1)),
        view_from_world=rotation,
        translation=shift,
        focal_px=focal,
        centre_px=np.tile(np.array(SIZE) / 2, (3, 1)),
        distortion=np.zeros((len(none), 5)),
        delay_s=none,
    )
    in_mm = replace(
        rig,
        view_from_world=np.broadcast_to(rotation, (count, 3, 3, 3)),
        translation=np.broadcast_to(1e3 * shift, (count, 3, 3)),
        focal_px=np.broadcast_to(focal, (count, 3)),
    )
    truth = GroundTruth(joints_mm=1e3 * local, rig=in_mm)
    calibration = calibration_of(rig, instants=count, scale_source="height")
    return Known(take, truth, calibration)


def skeleton_of(pose: MultiviewPose, joints: Any, **changes: Any) -> Skeleton:
    made = Skeleton(
        t_ns=pose.t_ns,
        uncertainty_ns=0,
        instant=pose.instant,
        engine="e",
        joints=np.asarray(joints, np.float32),
        confidence=np.ones(len(H36M_16), np.float32),
        views=pose.cameras,
        measured=True,
    )
    return replace(made, **changes)


def scored(
    known: Known, folder: Path, skeletons: list[Skeleton], held: CalibrationUpdate | None = None
) -> dict[str, Errors]:
    writer = SessionWriter(folder, recording="poses")
    if held:
        writer.write_event({"event": "calibration", **to_event(held)})
    poses = known.take.poses()
    messages: list[Recordable] = [*poses, *skeletons]
    for message in messages:
        writer.write(message)
    assert writer.close() == 0
    return score(engine(), SessionReader(folder), poses, known.truth)


def test_without_skeletons_the_lifter_and_the_true_cameras_are_scored_all_the_same(
    known: Known, tmp_path: Path
) -> None:
    found = scored(known, tmp_path / "s", [])
    assert tuple(found) == SCORED
    assert np.isnan(found["fused"]["n_mpjpe_mm"])
    limit = found["calibrated_limit"]
    assert 0 < limit["p_mpjpe_mm"] < limit["n_mpjpe_mm"] < 30
    assert limit["n_mpjpe_mm"] < found["lifter_fused"]["n_mpjpe_mm"] < 200


def test_skeletons_of_the_true_world_at_any_scale_are_without_error(
    known: Known, tmp_path: Path
) -> None:
    held = CalibrationUpdate(
        t_ns=0, number=4, cause="first", moved=(), calibration=known.calibration
    )
    skeletons = [
        skeleton_of(pose, 0.37 * joints, frame_of_reference="world", calibration=4)
        for pose, joints in zip(known.take.poses(), known.take.joints, strict=True)
    ]
    found = scored(known, tmp_path / "s", skeletons, held)
    assert found["fused"] == {
        "n_mpjpe_mm": pytest.approx(0, abs=0.05), "p_mpjpe_mm": pytest.approx(0, abs=0.05)
    }  # fmt: skip


def test_what_the_lifter_fused_sent_as_it_is_scores_as_the_lifter_does(
    known: Known, tmp_path: Path
) -> None:
    poses = known.take.poses()
    skeletons = [skeleton_of(pose, engine().lift(pose).fused) for pose in poses]
    found = scored(known, tmp_path / "s", skeletons)
    assert found["fused"] == pytest.approx(found["lifter_fused"], abs=0.02)


def test_predicted_skeletons_are_not_scored(known: Known, tmp_path: Path) -> None:
    guesses = [skeleton_of(p, np.ones((16, 3)), measured=False) for p in known.take.poses()]
    assert np.isnan(scored(known, tmp_path / "s", guesses)["fused"]["p_mpjpe_mm"])


def test_only_the_joints_that_the_truth_is_scored_by_count(known: Known, tmp_path: Path) -> None:
    poses = known.take.poses()
    wrist = H36M_16.index("lwrist")
    skeletons = []
    for pose in poses:
        joints = engine().lift(pose).fused.copy()
        joints[wrist] += 5.0
        skeletons.append(skeleton_of(pose, joints))
    others = tuple(joint for joint in range(len(H36M_16)) if joint != wrist)
    found = scored(replace(known, truth=replace(known.truth, scored=others)), tmp_path, skeletons)
    assert found["fused"] == pytest.approx(found["lifter_fused"], abs=0.02)
