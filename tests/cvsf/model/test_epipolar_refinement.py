"""Eq. 2 in closed form against the heatmaps it stands for, written out from the paper's text.

Not from the paper, in both: a line has less weight the smaller the angle between its two cameras
(`_HALF_WEIGHT_SIN2`).
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from cvsf.model.epipolar_refinement import (
    _HALF_WEIGHT_SIN2,
    BODY_CONFIDENCE,
    JOINT_SPREAD,
    LINE_SPREAD,
    REACH,
    refine_keypoints,
)
from cvsf.model.geometry import rotation_about, rotation_from_step
from cvsf.skeleton import H36M_16

Array = npt.NDArray[np.float64]
CELL = 2 * REACH / 64
"""The paper's heatmap is square; 64 cells a side over the range that holds a body at unit scale."""
WRIST = H36M_16.index("lwrist")


class Case(NamedTuple):
    """One view m of one joint: where it was found, and every other view's line."""

    joint: Array  # (2,)
    confidence: float
    normal: Array  # (V - 1, 2)
    offset: Array  # (V - 1,)
    trust: Array  # (V - 1,)


def oracle_cases(pose2d: Array, confidence: Array, rotation: Array) -> list[Case]:
    """E(p_n, R_(n,m)) by section 3.3: two points of the ray of p_n, turned into view m, dropped."""
    found = []
    views = range(pose2d.shape[0])
    for m in views:
        normal, offset, trust = [], [], []
        for n in views:
            if n == m:
                continue
            turn = rotation[m] @ rotation[n].T
            near, far = ((turn @ np.append(pose2d[n], z))[:2] for z in (0.0, 1.0))
            along = far - near
            length = float(np.hypot(*along))
            across = np.array([along[1], -along[0]]) / max(length, 1e-12)
            normal.append(across)
            offset.append(float(across @ near))
            trust.append(confidence[n] * length**2 / (length**2 + _HALF_WEIGHT_SIN2))
        found.append(
            Case(pose2d[m], confidence[m], np.array(normal), np.array(offset), np.array(trust))
        )
    return found


def total(case: Case, points: Array) -> Array:
    """H(p_m, c_m) + sum of H(E(p_n), c_n) at points (N, 2)."""
    own = ((points - case.joint) ** 2).sum(-1)
    apart = points @ case.normal.T - case.offset
    ridges = case.trust * np.exp(-(apart**2) / (2 * LINE_SPREAD**2))
    return np.asarray(
        case.confidence * np.exp(-own / (2 * JOINT_SPREAD**2)) + ridges.sum(-1), np.float64
    )


def grid(low: Array, high: Array, step: float) -> Array:
    """Points of a grid over a box, its border included."""
    axes = [
        np.linspace(a, b, math.ceil((b - a) / step) + 1) for a, b in zip(low, high, strict=True)
    ]
    return np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)


HEATMAP = grid(np.full(2, -REACH), np.full(2, REACH), 2 * REACH / 63)


def dense_search(case: Case) -> tuple[Array, float, float]:
    """The highest point of the range by ever finer grids, its height, and the height of the best
    that is more than two cells away.
    """
    low, high = (
        np.array(f([case.joint, np.full(2, s * REACH)], axis=0))
        for f, s in ((np.min, -1), (np.max, 1))
    )
    points = grid(low, high, 0.4 * CELL)
    height = total(case, points)
    best, top = points[0], -1.0
    for at in np.argsort(-height)[:40:4]:
        place, step = points[at], 0.4 * CELL
        for _ in range(30):
            around = grid(place - 2 * step, place + 2 * step, step / 2).clip(low, high)
            moved = around[total(case, around).argmax()]
            step = step / 2 if np.abs(moved - place).max() < 1.5 * step else step
            place = moved
        if (found := float(total(case, place[None])[0])) > top:
            best, top = place, found
    away = np.hypot(*(points - best).T) > 2 * CELL
    return best, top, float(height[away].max())


def random_views(count: int, views: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Points seen by cameras anywhere, all level, nearly the same or in nearly the same pairs; with
    noise, a quarter gross outliers, and confidences from 0 to 1.
    """
    g = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    def share(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=torch.float64)

    level = rotation_about(1, 2 * math.pi * share(count, views))
    anywhere = rotation_about(0, math.pi * normal(count, views)) @ level
    tilted = rotation_about(0, 0.4 * normal(count, views)) @ level
    jitter = rotation_from_step(0.1 * normal(count, views, 3))
    same, pairs = jitter @ anywhere[:, :1], jitter @ anywhere[:, torch.arange(views) // 2]
    kind = (torch.arange(count) % 5)[:, None, None, None]
    rotation = anywhere
    for k, other in enumerate((level, tilted, same, pairs), start=1):
        rotation = torch.where(kind == k, other, rotation)
    point = normal(count, 1, 1, 3)
    point = 0.8 * share(count, 1, 1, 1) * point / point.norm(dim=-1, keepdim=True)
    pose2d = (point @ rotation.mT)[..., :2] + 0.03 * share(count, 1, 1, 1) ** 2 * normal(
        count, views, 1, 2
    )
    wild = share(count, views, 1, 1) < 0.25
    pose2d = pose2d + wild * (0.05 + share(count, views, 1, 1)) * 0.5 * normal(count, views, 1, 2)
    confidence = share(count, views, 1) * (share(count, views, 1) > 0.15)
    turn = rotation_from_step(0.05 * share(count, 1, 1) * normal(count, views, 3))
    return pose2d, confidence, turn @ rotation


def solved(views: int, count: int, seed: int) -> list[tuple[Case, Array]]:
    """Random cases, each with the closed form's point, found in single precision."""
    pose2d, confidence, rotation = random_views(count, views, seed)
    ours = refine_keypoints(pose2d.float(), confidence.float(), rotation.float()).double().numpy()
    return [
        (case, ours[i, m, 0])
        for i in range(count)
        for m, case in enumerate(
            oracle_cases(pose2d[i, :, 0].numpy(), confidence[i, :, 0].numpy(), rotation[i].numpy())
        )
    ]


@pytest.mark.slow
def test_in_10000_random_cases_eq2_is_at_least_as_high_as_at_the_heatmaps_argmax() -> None:
    lower = cases = 0
    for views, count in ((2, 500), (3, 500), (4, 500), (5, 500), (6, 300), (8, 150)):
        for case, point in solved(views, count, seed=views):
            cases += 1
            lower += total(case, point[None])[0] < total(case, HEATMAP).max() - 1e-6
    assert cases >= 10_000
    assert lower <= 0.001 * cases


@pytest.mark.slow
def test_a_mode_higher_than_all_others_is_found_to_a_twentieth_of_a_cell() -> None:
    clear = missed = 0
    for views, count in ((2, 40), (3, 30), (4, 30), (6, 20)):
        for case, point in solved(views, count, seed=100 + views):
            best, top, second = dense_search(case)
            if top - second > 1e-3:
                clear += 1
                # along a nearly flat ridge the search by grids may stop short of the mode itself
                higher = total(case, point[None])[0] > top
                missed += np.hypot(*(point - best)) > 0.05 * CELL and not higher
    assert clear > 350
    assert missed <= 0.005 * clear


def exact_views(joints: int = len(H36M_16), views: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """A body seen without error from all around and from different heights."""
    g = torch.Generator().manual_seed(1)
    body = 0.3 * torch.randn(3, joints, 3, generator=g, dtype=torch.float64)
    azimuth = torch.arange(views, dtype=torch.float64) * 2 * math.pi / views + 0.3
    height = torch.linspace(-0.4, 0.7, views, dtype=torch.float64)
    rotation = (rotation_about(0, height) @ rotation_about(1, azimuth)).expand(3, -1, 3, 3)
    pose2d = (body[:, None] @ rotation.mT)[..., :2]
    return pose2d, torch.ones(3, views, joints, dtype=torch.float64), rotation


@pytest.mark.parametrize("views", [2, 3, 4, 7])
def test_exact_poses_are_not_moved_by_the_refinement(views: int) -> None:
    pose2d, confidence, rotation = exact_views(views=views)
    for vote in (0.0, BODY_CONFIDENCE):
        moved = refine_keypoints(pose2d, confidence, rotation, pose2d, vote)
        torch.testing.assert_close(moved, pose2d, atol=1e-6, rtol=0)


def test_a_corrupted_joint_is_repaired_and_no_other_is_moved() -> None:
    pose2d, confidence, rotation = exact_views()
    seen = pose2d.clone()
    seen[:, 1, 5] += torch.tensor([0.25, -0.3])
    confidence[:, 1, 5] = 0.3
    moved = refine_keypoints(seen, confidence, rotation)
    assert (moved - pose2d).norm(dim=-1).max() < 0.01
    others = torch.arange(len(H36M_16)) != 5
    torch.testing.assert_close(moved[:, :, others], pose2d[:, :, others], atol=1e-6, rtol=0)


def test_a_view_without_confidence_does_not_change_the_refined_joints() -> None:
    pose2d, confidence, rotation = random_views(40, 4, seed=3)
    confidence[:, 2] = 0
    others = [0, 1, 3]
    wild = pose2d.clone()
    wild[:, 2] = 0.4
    for seen in (pose2d, wild):
        four = refine_keypoints(seen, confidence, rotation)[:, others]
        three = refine_keypoints(pose2d[:, others], confidence[:, others], rotation[:, others])
        # crossings with its lines are places to start from, and may find what three views miss
        assert ((four - three).norm(dim=-1) < 1e-6).double().mean() > 0.97


def test_the_order_of_the_views_does_not_change_the_refined_joints() -> None:
    pose2d, confidence, rotation = random_views(40, 5, seed=4)
    order = [3, 0, 4, 1, 2]
    moved = refine_keypoints(pose2d, confidence, rotation)[:, order]
    again = refine_keypoints(pose2d[:, order], confidence[:, order], rotation[:, order])
    assert ((moved - again).norm(dim=-1) < 1e-6).double().mean() > 0.97


def test_a_joint_without_confidence_in_any_view_is_not_moved() -> None:
    pose2d, confidence, rotation = random_views(20, 3, seed=5)
    moved = refine_keypoints(pose2d, 0 * confidence, rotation)
    torch.testing.assert_close(moved, pose2d)


def test_nearly_parallel_epipolar_lines_move_no_joint_out_of_the_range() -> None:
    pose2d, confidence, rotation = random_views(200, 4, seed=6)
    g = torch.Generator().manual_seed(7)
    for jitter in (1e-1, 1e-3, 1e-6, 0.0):
        turn = rotation_from_step(jitter * torch.randn(200, 4, 3, generator=g, dtype=torch.float64))
        for dtype in (torch.float32, torch.float64):
            moved = refine_keypoints(
                pose2d.to(dtype), confidence.to(dtype), (turn @ rotation[:, :1]).to(dtype)
            )
            assert (moved.abs() <= pose2d.abs().clamp_min(REACH) + 1e-5).all()


def test_the_weight_of_the_body_is_at_most_half_of_that_of_the_epipolar_lines() -> None:
    pose2d, confidence, rotation = exact_views()
    alone = refine_keypoints(
        pose2d[:, :1], confidence[:, :1], rotation[:, :1], pose2d[:, :1] + 0.05, 0.8
    )
    torch.testing.assert_close(alone, pose2d[:, :1])
    voted = refine_keypoints(pose2d, confidence, rotation, pose2d + 0.02, 0.8)
    toward = ((voted - pose2d) / 0.02).mean()
    assert 0.02 < float(toward) < 0.5


def test_a_joint_far_off_in_one_view_is_put_back_by_the_others_and_the_body(
    body: torch.Tensor, rotation: torch.Tensor
) -> None:
    exact = (body[:, None] @ rotation.mT)[..., :2]
    seen = exact.clone()
    seen[:, 1, WRIST] += torch.tensor([0.3, -0.2])
    confidence = torch.ones(2, 4, len(H36M_16))
    confidence[:, 1, WRIST] = 0.4
    moved = refine_keypoints(seen, confidence, rotation, exact + 0.02)
    assert (moved - exact)[:, 1, WRIST].norm(dim=-1).max() < 0.02
    assert (moved - exact).norm(dim=-1).max() < 0.02


def test_cameras_that_look_the_same_way_move_no_joint(body: torch.Tensor) -> None:
    same = torch.eye(3).expand(2, 4, 3, 3)
    seen = (body[:, None] @ same.mT)[..., :2].contiguous()
    moved = refine_keypoints(seen, torch.ones(2, 4, len(H36M_16)), same, seen)
    torch.testing.assert_close(moved, seen)
