"""What really was at a session's instants: joints in every view's axes, and the true cameras."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.evaluation.ground_truth import GroundTruth, clip_ground_truth, read_ground_truth
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import COCO_17, H36M_16
from tests.support.walkers import walkers

Arrays = dict[str, Any]


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    """A multi-view file of two walkers, three instants each."""
    with np.load(walkers(tmp_path / "w.npz", frames=3)) as file:
        return {name: file[name] for name in file.files}


def test_true_cameras_project_the_true_joints_to_the_true_keypoints(arrays: Arrays) -> None:
    truth = read_ground_truth(arrays)
    assert truth.rig is not None
    assert truth.keypoints_px is not None
    np.testing.assert_allclose(truth.rig.project(truth.world_mm), truth.keypoints_px, atol=0.01)
    assert truth.joints_mm is not None
    assert np.abs(truth.rig.in_views(truth.world_mm) - truth.joints_mm).max() < 0.1
    np.testing.assert_allclose(truth.rig.focal_px, 1500, rtol=1e-6)
    away = np.linalg.norm(truth.rig.centres, axis=-1)
    np.testing.assert_allclose(away, truth.rig.translation[..., 2], rtol=1e-5)


def test_a_part_of_the_truth_has_the_instants_and_views_that_were_asked_for(
    arrays: Arrays,
) -> None:
    truth = read_ground_truth(arrays)
    part = truth.take(np.array([4, 1])).of_views([2, 0])
    assert truth.rig is not None
    assert part.rig is not None
    assert part.rig.cameras == ("cam2", "cam0")
    for name in ("joints_mm", "keypoints_px"):
        assert np.array_equal(getattr(part, name), getattr(truth, name)[[4, 1]][:, [2, 0]])
    for name in ("view_from_world", "translation", "focal_px"):
        assert np.array_equal(getattr(part.rig, name), getattr(truth.rig, name)[[4, 1]][:, [2, 0]])
    assert part.rig.projection.shape == (2, 2, 3, 4)
    rows = read_ground_truth(arrays, np.array([4, 1])).of_views([2, 0])
    assert np.array_equal(rows.world_mm, part.world_mm)


def test_joints_may_be_known_without_cameras_and_joints_that_are_all_nan_are_not_known(
    arrays: Arrays,
) -> None:
    bare = read_ground_truth({n: a for n, a in arrays.items() if n != "camera_R"})
    assert bare.rig is None
    part = bare.take(slice(2)).of_views([1])
    assert part.joints_mm is not None
    assert part.joints_mm.shape == (2, 1, 16, 3)
    with pytest.raises(ValueError, match="the ground truth has no cameras or no joints"):
        _ = bare.world_mm
    lost = read_ground_truth(arrays | {"joints_mm": np.full_like(arrays["joints_mm"], np.nan)})
    assert lost.joints_mm is None


def test_an_array_of_another_shape_is_named(arrays: Arrays) -> None:
    with pytest.raises(ValueError, match=r"camera_t_mm is \(6, 4, 2\), expected \(6, 4, 3\)"):
        read_ground_truth(arrays | {"camera_t_mm": arrays["camera_t_mm"][..., :2]})


def test_a_joint_of_the_world_is_the_mean_over_the_views_that_know_it(arrays: Arrays) -> None:
    truth = read_ground_truth(arrays)
    whole = truth.world_mm
    assert truth.joints_mm is not None
    truth.joints_mm[0, 0, 3] = np.nan
    truth.joints_mm[1, :, 3] = np.nan
    np.testing.assert_allclose(truth.world_mm[0], whole[0], atol=0.1)
    assert np.isnan(truth.world_mm[1, 3]).all()
    assert np.isfinite(np.delete(truth.world_mm, 1, axis=0)).all()


def test_a_clip_is_scored_by_the_limbs_of_its_cameras_triangulation() -> None:
    rotation = np.asarray(
        rotation_from_vector(np.array([[0.0, 0.1, 0.0], [0.0, -0.2, 0.1]])), float
    )
    cameras = [
        {
            "camera": name,
            "K": [[900, 0, 320], [0, 900, 240], [0, 0, 1]],
            "R": R,
            "t_mm": [0, 0, 4e3],
        }
        for name, R in zip(("left", "right"), rotation.tolist(), strict=True)
    ]
    world = np.random.default_rng(0).normal(0, 400, (3, len(COCO_17), 3))
    world[1, COCO_17.index("lwrist")] = np.nan
    truth = clip_ground_truth(cameras, world)
    assert truth.rig is not None
    assert truth.joints_mm is not None
    assert truth.rig.cameras == ("left", "right")
    assert truth.rig.focal_px.shape == (3, 2)
    np.testing.assert_allclose(truth.rig.in_views(truth.world_mm), truth.joints_mm)
    assert np.isnan(truth.joints_mm[1, :, H36M_16.index("lwrist")]).all()
    limbs = {H36M_16.joints[joint] for joint in truth.scored}
    assert len(limbs) == 12
    assert limbs.isdisjoint({"hip", "spine", "thorax", "head"})
    assert len(GroundTruth().scored) == len(H36M_16)
