"""What really was in a session: joints in every view's axes, and the true cameras."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from tests.support.walkers import walkers
from train.data.ground_truth import joints_named, reality
from train.data.instants import Instants, Truth
from train.data.npz import read_file


@pytest.fixture
def instants(tmp_path: Path) -> Instants:
    return read_file(walkers(tmp_path / "w.npz", frames=3))


def test_true_cameras_show_the_true_joints_where_the_file_has_them(instants: Instants) -> None:
    real = reality(instants)
    assert real is not None
    cameras = real.cameras
    assert cameras is not None
    world = np.einsum(
        "nvji,nvkj->nvki",
        cameras.view_from_world,
        real.joints_mm - cameras.translation_mm[:, :, None],
    )
    assert np.abs(world - world[:, :1]).max() < 0.1  # all views tell of one body, in mm
    flat = np.concatenate([world, np.ones((*world.shape[:-1], 1))], -1)
    local = np.einsum("nvrc,nvkc->nvkr", cameras.projection, flat)
    assert instants.truth.pixels is not None
    np.testing.assert_allclose(local[..., :2] / local[..., 2:], instants.truth.pixels, atol=0.01)
    np.testing.assert_allclose(cameras.focal_px, 1500, rtol=1e-6)
    away = np.linalg.norm(cameras.centres, axis=-1)
    np.testing.assert_allclose(away, cameras.translation_mm[..., 2], rtol=1e-5)


def test_a_part_of_the_truth_has_the_instants_and_views_that_were_asked_for(
    instants: Instants,
) -> None:
    real = reality(instants)
    assert real is not None
    assert real.cameras is not None
    first = real.some(np.array([4, 1]), slice(3))
    part = first.of_views([2, 0])
    assert first.cameras is not None
    assert part.cameras is not None
    assert np.array_equal(part.joints_mm, real.joints_mm[[4, 1]][:, [2, 0]])
    for name in ("view_from_world", "translation_mm", "projection", "straight_px"):
        whole = getattr(real.cameras, name)
        assert np.array_equal(getattr(first.cameras, name), whole[[4, 1]][:, :3])
        assert np.array_equal(getattr(part.cameras, name), whole[[4, 1]][:, [2, 0]])


def test_joints_without_cameras_are_a_truth_and_cameras_without_joints_are_none(
    instants: Instants,
) -> None:
    truth = instants.truth
    bare = reality(replace(instants, truth=Truth(joints_mm=truth.joints_mm)))
    assert bare is not None
    assert bare.cameras is None
    assert bare.some(slice(2), slice(2)).of_views([1]).joints_mm.shape == (2, 1, 16, 3)
    assert truth.joints_mm is not None
    lost = np.full_like(truth.joints_mm, np.nan)
    for joints in (None, lost):
        assert reality(replace(instants, truth=replace(truth, joints_mm=joints))) is None


def test_joints_are_found_by_name_and_an_unknown_one_is_named() -> None:
    assert joints_named(["hip", "head"]) == (0, H36M_16.joints.index("head"))
    with pytest.raises(ValueError, match="joint 'tail' is not in joint set h36m-16"):
        joints_named(["tail"])
