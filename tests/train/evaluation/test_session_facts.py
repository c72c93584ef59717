"""What is said of each session, calibrated or refused."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.made_calibration import made_calibration, made_rig
from tests.support.outcomes import outcome
from tests.train.evaluation.test_calibration_summary import calibration, session
from train.evaluation.session_facts import session_facts
from train.evaluation.take_errors import TakeErrors


def test_each_session_has_its_errors_beside_its_limit() -> None:
    world = {
        "fused": TakeErrors(rooted_mm=22.004, place_mm=31.0),
        "calibrated_limit": TakeErrors(rooted_mm=20.0, place_mm=21.0),
    }
    facts = session_facts([session("a", 21, world=world), session("b", 21, world={})])
    (first, second) = facts["per_session"]
    assert (first["session"], first["moving"], first["refused"]) == ("a", "still", None)
    assert (first["n_mpjpe_mm"], first["rooted_mm"], first["place_mm"]) == (21.0, 22.0, 31.0)
    assert first["limit"]["rooted_mm"] == 20.0
    assert (first["scale_source"], first["scale_deviation_share"]) == ("adult", None)
    assert second["rooted_mm"] is None
    assert facts["world"] == {"rooted_mm": 22.0, "place_mm": 31.0}
    assert facts["world_limit"] == {"rooted_mm": 20.0, "place_mm": 21.0}


def test_a_refused_session_is_listed_with_its_reason_and_no_errors() -> None:
    facts = session_facts([session("c", None)])
    (only,) = facts["per_session"]
    assert only["refused"] == "nobody moved"
    assert only["moving"] is None
    assert only["n_mpjpe_mm"] is None
    assert only["rooted_mm"] is None
    assert only["limit"]["n_mpjpe_mm"] == 20.0
    assert facts["delays_s"] == {}
    assert facts["world"] == {"rooted_mm": None, "place_mm": None}


def test_delays_and_cameras_left_out_are_named_by_session() -> None:
    late = calibration()
    late = replace(late, rig=replace(late.rig, delay_s=np.array([0.0, 0.25])))
    facts = session_facts(
        [session("a", 20, calibration=late, left_out={"c": "looks mirrored"}), session("b", 20)]
    )
    assert facts["delays_s"] == {"a": {"a": 0.0, "b": 0.25}, "b": {"a": 0.0, "b": 0.0}}
    assert facts["left_out"] == {"a": {"c": "looks mirrored"}}


def test_cameras_that_have_a_pose_at_each_instant_pan() -> None:
    still = calibration()
    rig = replace(
        still.rig,
        view_from_world=np.tile(np.eye(3), (5, 2, 1, 1)),
        translation=np.zeros((5, 2, 3)),
        focal_px=np.ones((5, 2)),
    )
    facts = session_facts([session("a", 20, calibration=replace(still, rig=rig), errors={})])
    assert facts["per_session"][0]["moving"] == "panning"
    assert "world" not in facts


@pytest.mark.parametrize("key", ["per_session", "delays_s", "left_out"])
def test_without_a_truth_the_sessions_are_listed_too(key: str) -> None:
    assert key in session_facts([session("a", 20, errors={})])


def test_the_metre_of_a_session_is_told_with_its_deviation_and_its_error() -> None:
    stated = replace(calibration("bone"), scale_deviation_share=0.01234)
    facts = session_facts([session("a", 20, calibration=stated, cameras={"size_mm": 985.0})])
    (only,) = facts["per_session"]
    assert (only["scale_source"], only["scale_deviation_share"]) == ("bone", 0.0123)
    assert only["metre_error"] == -0.015
    assert only["world_drift_mm"] is None


def test_the_drift_that_the_world_may_have_is_told() -> None:
    stated = replace(calibration("bone"), world_drift_mm=31.456)
    (only,) = session_facts([session("a", 20, calibration=stated)])["per_session"]
    assert only["world_drift_mm"] == 31.46


def test_a_camera_whose_reprojection_error_stands_out_is_named() -> None:
    found = made_calibration(made_rig(4), reprojection_share=np.array([0.008, 0.02, 0.009, 0.01]))
    two = made_calibration(made_rig(2), reprojection_share=np.array([0.008, 0.02]))
    facts = session_facts(
        [session("a", 20, calibration=found), session("b", 20, calibration=two), session("c", 20)]
    )
    assert facts["standing_out"] == {"a": {"cam1": 2.22}}


def test_instants_that_cameras_share_are_counted_and_a_weak_link_is_named() -> None:
    made = outcome(frames=100)
    assert made.reconstruction is not None
    residual = np.full((100, 4), 0.01)
    residual[:94, 3] = np.nan
    made = replace(made, reconstruction=replace(made.reconstruction, residual_share=residual))
    facts = session_facts([made, session("b", 20), session("c", None)])
    assert facts["shared_instants"] == {
        "run_07": {
            "cam0": {"cam1": 100, "cam2": 100, "cam3": 6},
            "cam1": {"cam2": 100, "cam3": 6},
            "cam2": {"cam3": 6},
        }
    }
    assert list(facts["weak_link"]) == ["run_07"]


def test_how_far_two_cameras_may_be_off_is_told() -> None:
    stated = replace(calibration("bone"), position_within_share=0.23456)
    facts = session_facts([session("a", 20, calibration=stated), session("b", 20)])
    assert facts["position_within_share"] == {"a": 0.235}
