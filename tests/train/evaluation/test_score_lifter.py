"""Scores of lifters whose answers are known: the truth itself, and the truth with one joint off."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.skeleton import H36M_16, Array
from tests.support.recordings import FRAMES, multiview
from train.data.instants import Recordings
from train.data.npz import read_file
from train.evaluation.score_lifter import BAD_SHARE, Lift, errors, lift_all, over_pose_norm, score

JOINTS = len(H36M_16)


@pytest.fixture(scope="module")
def instants(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return read_file(multiview(tmp_path_factory.mktemp("scored") / "a.npz"))


def answers(pose: Array, refined_px: Array | None = None) -> Lift:
    """A lifter that says one body in every view's own axes, and the 2D as it was or as given."""

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        count, views = confidence.shape[:2]
        whole = refined_px is not None and views > 1
        return {
            "canonical": np.tile(pose, (count, views, 1, 1)),
            "view_from_canonical": np.tile(np.eye(3, dtype=np.float32), (count, views, 1, 1)),
            "fused": np.tile(pose, (count, 1, 1)),
            "fused_confidence": np.ones((count, JOINTS), np.float32),
            "refined_px": refined_px if whole and refined_px is not None else keypoints_px,
        }

    return lift


def of_one_body(instants: Recordings) -> tuple[Recordings, Array]:
    """The instants with one true body in all views, and that body."""
    assert instants.truth.joints_mm is not None
    body = instants.truth.joints_mm[0, 0].astype(np.float32)
    joints = np.broadcast_to(body, instants.truth.joints_mm.shape)
    return replace(instants, truth=replace(instants.truth, joints_mm=joints)), body


def test_errors_are_means_over_the_views_that_saw_the_person() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(0, 300, (3, 2, JOINTS, 3)).astype(np.float32)
    found = truth.copy()
    found[0, 1] = found[0, 1, ::-1]  # wrong where nobody was seen
    seen = np.ones((3, 2), bool)
    seen[0, 1] = False
    right = errors(found, truth, seen)
    assert right["n_mpjpe_mm"] < 0.01
    assert right["p_mpjpe_mm"] < 0.01
    assert right["n_pck"] == 1
    assert errors(found, truth, ~seen)["n_mpjpe_mm"] > 100


def test_a_lifter_that_returns_the_truth_has_no_error_alone_or_fused(
    instants: Recordings,
) -> None:
    told, body = of_one_body(instants)
    facts = score(answers(2 * body), told)
    assert facts["frames"] == FRAMES
    for row in ("one_view", "one_view_refined", "fused"):
        assert facts[row]["n_mpjpe_mm"] == pytest.approx(0, abs=0.01)
    assert facts["without_truth"]["views_apart"] == pytest.approx(0, abs=1e-5)
    assert facts["without_truth"]["bone_spread"] == pytest.approx(0, abs=1e-5)


def test_a_distance_in_pixels_is_a_share_of_the_poses_norm() -> None:
    truth = np.zeros((1, JOINTS, 2), np.float32)
    truth[0, 1:] = [30, 40]
    truth[0, 3] = np.nan
    found = np.nan_to_num(truth) + np.array([3, 4], np.float32)
    shares = over_pose_norm(found, truth)[0]
    assert shares[1] == pytest.approx(5 / (50 * np.sqrt(JOINTS - 2)))
    assert np.isnan(shares[3])


def test_refined_2d_is_scored_apart_for_joints_found_badly_and_well(
    instants: Recordings,
) -> None:
    pixels = instants.truth.keypoints_px
    assert pixels is not None
    keypoints = pixels.copy()
    keypoints[:, :, 3] += 300
    told = replace(instants, keypoints_px=keypoints)
    facts = score(answers(np.zeros((JOINTS, 3), np.float32), pixels), told)["refined_2d"]
    assert facts["bad_before"] > BAD_SHARE
    assert facts["bad_after"] == facts["good_before"] == facts["good_after"] == 0


def test_a_file_without_a_truth_has_scores_of_agreement_only(
    instants: Recordings,
) -> None:
    blind = replace(instants, truth=GroundTruth())
    _, body = of_one_body(instants)
    assert set(score(answers(body), blind)) == {"frames", "without_truth"}


def test_many_instants_are_lifted_in_batches_and_come_back_in_order() -> None:
    sizes: list[int] = []

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        sizes.append(len(confidence))
        return {"fused": keypoints_px[:, 0]}

    keypoints = np.arange(600 * JOINTS * 2, dtype=np.float32).reshape(600, 1, JOINTS, 2)
    others = np.ones((600, 1, JOINTS), np.float32), np.zeros((600, 1, 2), np.float32)
    found = lift_all(lift, keypoints, *others)
    assert sizes == [256, 256, 88]
    assert np.array_equal(found["fused"], keypoints[:, 0])
