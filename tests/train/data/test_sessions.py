"""Recorded sessions read as instants."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from tests.support.lenses import made_lens
from tests.support.material import PERIOD_NS, START_NS, make_frame, make_instant, make_pose, record
from train.data.instants import joined
from train.data.sessions import read_session


def test_cameras_keep_their_place_whichever_of_them_saw_the_person(tmp_path: Path) -> None:
    both, left, right = make_pose(0, ("b", "a")), make_pose(1, ("a",)), make_pose(3, ("b",))
    record(tmp_path / "run", [both, left, right])
    (found,) = read_session(tmp_path / "run")
    assert found.cameras == ("a", "b")
    assert found.session == ("run",) * 3
    assert np.array_equal(found.keypoints_px[0], both.keypoints_px[::-1])
    assert np.array_equal(found.keypoints_px[1, 0], left.keypoints_px[0])
    assert np.array_equal(found.confidence[2, 1], right.confidence[0])
    assert not found.confidence[1, 1].any()
    assert not found.confidence[2, 0].any()
    assert found.image_px[:, 0].tolist() == [[640, 640], [640, 640], [0, 0]]
    wanted = (START_NS + np.array([0, 1, 3]) * PERIOD_NS) / 1e9
    np.testing.assert_allclose(found.t_s, wanted)


def test_cameras_whose_pictures_were_recorded_come_first_even_if_they_saw_nobody(
    tmp_path: Path,
) -> None:
    record(tmp_path / "run", [make_frame("z"), make_pose(0, ("b", "a"))])
    (found,) = read_session(tmp_path / "run")
    assert found.cameras == ("z", "a", "b")
    assert found.confidence.any(-1).tolist() == [[False, True, True]]


def test_confidence_beyond_its_range_is_taken_for_the_end_of_it(tmp_path: Path) -> None:
    pose = make_pose(0)
    confidence = pose.confidence.copy()
    confidence[1, :2] = -0.5, 1.5
    record(tmp_path / "run", [replace(pose, confidence=confidence)])
    (found,) = read_session(tmp_path / "run")
    assert found.confidence[0, 1, :2].tolist() == [0, 1]
    assert np.array_equal(found.confidence[0, 0], pose.confidence[0])


def test_a_session_without_poses_gives_nothing_and_is_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path / "run", [make_instant(0)])
    with caplog.at_level(logging.WARNING):
        assert list(read_session(tmp_path / "run")) == []
    assert [vars(r)["session"] for r in caplog.records if "no 2D poses" in r.message] == ["run"]


def test_a_session_of_more_than_sixteen_cameras_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "run", [make_pose(0, tuple(f"cam{number:02d}" for number in range(17)))])
    with pytest.raises(Refusal, match="run has 17 cameras, expected at most 16"):
        list(read_session(tmp_path / "run"))


def test_lenses_known_when_a_session_was_recorded_are_given_and_kept_when_parts_are_joined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    size = (640.0, 640.0)
    lenses = {"a": made_lens(500, size), "c": made_lens(900), "gone": made_lens(400)}
    config = {"lenses": {name: lens.model_dump() for name, lens in lenses.items()}}
    poses = [make_pose(0, ("a", "b", "c")), make_pose(1, ("a", "b", "c"))]
    record(tmp_path / "run", poses, config=config)
    with caplog.at_level(logging.WARNING):
        (found,) = read_session(tmp_path / "run")
    assert found.given_K is not None
    assert found.given_distortion is not None
    assert found.given_K[:, 0, 0, 0].tolist() == [500, 500]
    assert found.given_distortion[1, 0].tolist() == [-0.3, 0.1, 0, 0, 0]
    assert np.isnan(found.given_K[:, 1:]).all(), "b has none, and that of c is of other pictures"
    assert "c was calibrated at 1920 x 1080" in vars(caplog.records[-1])["reason"]
    wider = joined([found.of_views([0]), found])
    assert wider.given_K is not None
    assert wider.given_K[:, 0, 0, 0].tolist() == [500] * 4
    assert np.isnan(wider.given_K[:, 1:]).all()


def test_damaged_lenses_of_a_session_are_refused(tmp_path: Path) -> None:
    record(tmp_path / "run", [make_pose(0)], config={"lenses": {"cam0": {"matrix": 3}}})
    with pytest.raises(Refusal, match="the lenses of session run are damaged"):
        list(read_session(tmp_path / "run"))
