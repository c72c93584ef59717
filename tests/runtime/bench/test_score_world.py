"""World skeletons against the truth: what counts as an error, and how a knock is timed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.messages import Skeleton
from cvsf.skeleton import H36M_16
from runtime.bench.score_world import (
    Real,
    ScoredSession,
    align_known,
    first_world_s,
    one_view_share,
    score_bump,
    score_world,
)
from tests.support.made_calibration import made_rig
from tests.support.material import make_pose, make_skeleton

J = len(H36M_16)


def turned(angle: float) -> Real:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


def world(count: int = 40) -> Real:
    """A body of random joints that walks 0.1 m an instant."""
    body = np.random.default_rng(0).normal(0, 0.5, (J, 3))
    return np.asarray(body + np.arange(count)[:, None, None] * np.array([0.1, 0.0, 0.0]))


def take(skeletons: list[Skeleton | None], truth: Real, turned_from: int = 10**6) -> ScoredSession:
    """Two cameras at 20 Hz; cam1 stands elsewhere from an instant on."""
    count = len(truth)
    poses = [make_pose(n) for n in range(count)]
    moved = np.zeros((count, 2), bool)
    moved[turned_from:, 1] = True
    still = made_rig(views=2, instants=count)
    rig = replace(
        still,
        view_from_world=np.broadcast_to(np.eye(3), (count, 2, 3, 3)),
        translation=np.zeros((count, 2, 3)),
    )
    return ScoredSession(
        t_s=np.arange(count) / 20,
        poses=poses,
        skeletons=skeletons,
        truth=GroundTruth(joints_mm=1e3 * np.stack([truth, truth], 1), rig=rig),
        in_view=np.ones((count, 2), bool),
        moved=moved,
        limit_mm=1e3 * truth,
    )


def in_world(n: int, joints: Real, **changes: Any) -> Skeleton:
    placed = {"frame_of_reference": "world", "joints": joints.astype(np.float32)}
    return make_skeleton(n, **(placed | changes))


def test_skeletons_that_are_the_truth_in_another_frame_have_no_error() -> None:
    truth = world()
    found = truth @ turned(0.7).T + [3.0, -2.0, 0.5]
    scored = score_world(take([in_world(n, joints) for n, joints in enumerate(found)], truth))
    assert scored["mpjpe_mm"] < 0.01
    assert scored["root_error_m"] < 1e-5
    assert scored["up_error_deg"] < 0.1
    assert scored["travelled_m"] == pytest.approx(3.9)
    assert np.isnan(scored["one_view_mpjpe_mm"])


def test_a_wrong_scale_is_an_error_of_its_share_of_the_body() -> None:
    truth = world()
    scored = score_world(take([in_world(n, 1.1 * j) for n, j in enumerate(truth)], truth))
    rooted = np.linalg.norm(truth - truth[:, :1], axis=-1).mean()
    assert scored["mpjpe_mm"] == pytest.approx(100 * rooted, rel=1e-3)


def test_a_rigid_motion_is_found_from_the_points_that_are_known() -> None:
    points = np.random.default_rng(1).normal(size=(30, 3))
    onto = points @ turned(-0.4).T + [1.0, 2.0, 3.0]
    points[3] = onto[7] = np.nan
    _, turn, shift = align_known(points, onto)
    assert turn == pytest.approx(turned(-0.4), abs=1e-9)
    assert shift == pytest.approx([1, 2, 3], abs=1e-9)


def test_a_knocked_camera_is_timed_from_the_knock_until_left_out_and_until_used_for_good() -> None:
    truth = world(80)
    skeletons: list[Skeleton | None] = [
        in_world(n, joints, views=("cam0",) if 24 <= n < 40 else ("cam0", "cam1"))
        for n, joints in enumerate(truth)
    ]
    knocked = take(skeletons, truth, turned_from=20)
    assert score_bump(knocked, "cam1") == pytest.approx(
        {"bump_noticed_s": 0.2, "bump_recovered_s": 1.0}
    )
    never = {"bump_noticed_s": np.inf, "bump_recovered_s": np.inf}
    assert score_bump(knocked, "cam0") == never
    assert first_world_s(knocked) == 0


def test_an_instant_of_one_camera_counts_as_good_only_flagged_and_less_sure() -> None:
    truth = world(20)
    sure, unsure = np.full(J, 0.9, np.float32), np.full(J, 0.4, np.float32)
    skeletons: list[Skeleton | None] = [
        in_world(n, joints, confidence=sure) for n, joints in enumerate(truth)
    ]
    skeletons[10] = in_world(10, truth[10], measured=False, confidence=unsure)
    skeletons[11] = in_world(11, truth[11], measured=False, confidence=sure)
    skeletons[12] = None
    seen = take(skeletons, truth)
    for n in range(10, 14):
        seen.poses[n].image_px[1] = 0
        seen.in_view[n, 1] = False
    assert one_view_share(seen) == (0.25, 4)
