"""Multi-view files: any registered joints in any order, and what does not fit the layout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.messages import MAX_VIEWS
from cvsf.skeleton import COCO_17, H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import FRAMES, VIEWS, multiview, run
from train.data.npz import read_file
from train.evaluate import evaluate


def test_joints_in_any_order_or_fewer_are_read_and_absent_ones_are_not_scored(
    tmp_path: Path,
) -> None:
    whole = read_file(multiview(tmp_path / "a.npz"))
    limbs = tuple(reversed([j for j in H36M_16.joints if j in COCO_17.joints]))
    fewer = read_file(multiview(tmp_path / "b.npz", limbs))
    head, knee = H36M_16.index("head"), H36M_16.index("lknee")
    assert (fewer.confidence[:, :, head] == 0).all()
    assert fewer.truth.joints_mm is not None
    assert np.isnan(fewer.truth.joints_mm[:, :, head]).all()
    np.testing.assert_allclose(fewer.keypoints_px[:, :, knee], whole.keypoints_px[:, :, knee])
    facts = run(evaluate, tmp_path / "b.npz", "--json")
    assert 0 < facts["fused"]["n_mpjpe_mm"] < 90


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"joint_names": np.array(["tail", *H36M_16.joints[1:]])}, "tail"),
        ({"image_px": np.array([1, 2, 3])}, "image_px"),
        ({"confidence": np.ones((2, 2))}, "expected"),
        ({"t_s": np.zeros(3)}, "t_s"),
    ],
)
def test_a_malformed_file_is_refused_by_name(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        read_file(multiview(tmp_path / "a.npz", **changed))


def test_a_file_of_more_views_than_an_engine_takes_is_refused(tmp_path: Path) -> None:
    frames, views = 4, MAX_VIEWS + 1
    shape = (frames, views, len(H36M_16))
    wide = multiview(
        tmp_path / "a.npz",
        keypoints_px=np.zeros((*shape, 2)),
        confidence=np.ones(shape),
        session=np.zeros(frames, int),
        t_s=np.arange(frames) / 10,
        joints_mm=np.zeros((*shape, 3)),
    )
    with pytest.raises(Refusal, match="it has 17 views, expected 16 or fewer; leave some"):
        read_file(wide)


def test_numbers_that_are_not_finite_count_as_not_seen(tmp_path: Path) -> None:
    keypoints = np.full((FRAMES, VIEWS, len(H36M_16), 2), 100.0)
    confidence = np.full(keypoints.shape[:-1], 0.9)
    keypoints[0, 0, 3], keypoints[1, 1, 4, 1] = np.nan, 1e300
    confidence[2, 2, 5], confidence[3, 0, 6], confidence[3, 0, 7] = np.inf, -1.0, 7.0
    file = multiview(tmp_path / "a.npz", keypoints_px=keypoints, confidence=confidence)
    found = read_file(file)
    assert np.isfinite(found.keypoints_px).all()
    for where in (np.s_[0, 0, 3], np.s_[1, 1, 4], np.s_[2, 2, 5], np.s_[3, 0, 6]):
        assert found.confidence[where] == 0
    assert found.confidence[3, 0, 7] == 1


def test_subjects_are_named_where_the_file_has_names(tmp_path: Path) -> None:
    number = np.repeat([0, 7], FRAMES // 2)
    named = read_file(multiview(tmp_path / "a.npz", subject=number))
    assert set(named.subject) == {"ann", "7"}
    assert named.sessions == ("a:0", "a:1")
    words = read_file(multiview(tmp_path / "b.npz", subject=np.repeat(["x", "y"], FRAMES // 2)))
    assert set(words.subject) == {"x", "y"}


def test_true_cameras_are_read_only_where_the_file_has_all_of_them(tmp_path: Path) -> None:
    rotation = np.broadcast_to(np.eye(3, dtype=np.float32), (FRAMES, VIEWS, 3, 3))
    some: dict[str, Any] = {
        "camera_R": rotation,
        "camera_t_mm": np.zeros((FRAMES, VIEWS, 3), np.float32),
    }
    assert read_file(multiview(tmp_path / "a.npz", **some)).truth.rig is None
    focal = np.full((FRAMES, VIEWS), 1500, np.float32)
    truth = read_file(multiview(tmp_path / "b.npz", **some, focal_px=focal)).truth
    assert truth.rig is not None
    assert np.array_equal(truth.rig.view_from_world, rotation)
    with pytest.raises(Refusal, match=r"focal_px is \(24,\), expected \(24, 3\)"):
        read_file(multiview(tmp_path / "c.npz", **some, focal_px=focal[:, 0]))


def test_a_file_that_is_missing_damaged_or_lacks_an_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"no file at .*none\.npz"):
        read_file(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(Refusal, match=r"text\.npz is no \.npz file"):
        read_file(tmp_path / "text.npz")
    np.savez(tmp_path / "part.npz", allow_pickle=False, t_s=np.zeros(3))
    with pytest.raises(Refusal, match="lacks keypoints_px, confidence, joint_names"):
        read_file(tmp_path / "part.npz")
