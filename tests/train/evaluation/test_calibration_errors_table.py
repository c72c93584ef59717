"""Rigs and their scores as people read them."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration, Uncertainty
from cvsf.multiview.rig import Rig
from cvsf.skeleton import H36M_16
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.calibration_errors_table import show_rig, show_summary

FACTS: dict[str, Any] = {
    "sessions": 8,
    "views": 4,
    "sessions_calibrated_share": 0.875,
    "seconds_per_session": 1.5,
    "refused": {},
    "failed": {},
}


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def outcome(delay_s: float = 0.0) -> CalibrationResult:
    """A camera at (1, 2, 3) that is level, and one a metre above it."""
    eyes = np.array([[1.0, 2, 3], [1, 2, 4]])
    found = Calibration(
        rig=Rig(
            cameras=("left", "right"),
            image_px=np.tile([1280.0, 720], (2, 1)),
            view_from_world=np.tile(np.eye(3), (2, 1, 1)),
            translation=-eyes,
            focal_px=np.array([1200.0, 900]),
            centre_px=np.tile([640.0, 360], (2, 1)),
            distortion=np.zeros((2, 5)),
            delay_s=np.array([0, delay_s]),
        ),
        body=Body(joint_set=H36M_16, bones=np.ones(len(H36M_16.bones))),
        uncertainty=Uncertainty(
            rotation_deg=np.array([0.5, 0.7]),
            position_share=np.array([0.012, 0.02]),
            focal_share=np.array([0.03, 0.04]),
            reprojection_px=np.array([1.6, 2.4]),
            reprojection_share=np.zeros(2),
        ),
        instants=9,
        noise_share=0.01,
        scale_source="height",
    )
    return CalibrationResult(
        name="run-07", duration_s=3.0, seconds=1.0, triangulation_s=0.1, calibration=found
    )


def test_a_rig_is_shown_with_each_cameras_position_and_uncertainty(
    console: Console,
) -> None:
    show_rig(outcome(), console)
    text = said(console)
    assert "run-07, metres by height" in text
    (left,) = (line for line in text.splitlines() if "left" in line)
    for word in ("1200 ± 3%", "1.00, 2.00", "3.00", "1.2", "0.5", "1.6"):
        assert word in left
    assert "later than stamped" not in text


def test_the_metre_is_shown_with_its_stated_deviation(console: Console) -> None:
    found = outcome()
    assert found.calibration is not None
    stated = replace(found.calibration, scale_deviation_share=0.0713)
    show_rig(replace(found, calibration=stated), console)
    assert "run-07, metres by height ± 7.1%" in said(console)


def test_a_world_that_may_drift_is_told_by_how_much(console: Console) -> None:
    found = outcome()
    assert found.calibration is not None
    show_rig(found, console)
    assert "drift" not in said(console)
    show_rig(replace(found, calibration=replace(found.calibration, world_drift_mm=31.4)), console)
    assert "drift of the world: at most 31 mm per joint" in said(console)


def test_delays_are_shown_in_milliseconds_where_there_are_any(console: Console) -> None:
    show_rig(outcome(delay_s=0.0123), console)
    assert "time offsets: left +0.0 ms, right +12.3 ms" in said(console)


def test_a_refused_session_has_no_rig_to_show(console: Console) -> None:
    refused = CalibrationResult(
        name="a", duration_s=1.0, seconds=1.0, triangulation_s=0.0, refused="still"
    )
    show_rig(refused, console)
    assert said(console) == ""


def test_a_summary_names_what_was_refused_and_what_failed_with_the_reason(
    console: Console,
) -> None:
    facts = FACTS | {"refused": {"a:1": "nobody moved"}, "failed": {"b:2": 1.83}}
    show_summary(facts, console)
    text = said(console)
    assert "8 sessions of 4 views, 87.5% calibrated, 1.50 s of computing each" in text
    assert "refused a:1: nobody moved" in text
    assert "failed b:2: 1.83 of its limit" in text
    assert "MPJPE" not in text


def test_errors_are_shown_beside_those_of_the_true_cameras(console: Console) -> None:
    show_summary(
        FACTS
        | {
            "fused": {"n_mpjpe_mm": 31.44, "p_mpjpe_mm": 22.0},
            "calibrated_limit": {"n_mpjpe_mm": 24.0, "p_mpjpe_mm": 18.36},
            "lifter_fused": {"n_mpjpe_mm": None, "p_mpjpe_mm": None},
            "focal_error_median": 0.0213,
            "centre_error_share": 0.034,
        },
        console,
    )
    rows = [line for line in said(console).splitlines() if "│" in line]
    assert any("self-calibrated" in row and "31.4" in row and "22.0" in row for row in rows)
    assert any("the limit" in row and "24.0" in row and "18.4" in row for row in rows)
    assert not any("the lifter's own" in row for row in rows)
    assert "focal length error 2.1%, camera centre error 3.4%" in said(console)


def test_errors_of_whole_takes_stand_beside_those_of_instants(console: Console) -> None:
    show_summary(
        FACTS
        | {
            "fused": {"n_mpjpe_mm": 31.44, "p_mpjpe_mm": 22.0},
            "calibrated_limit": {"n_mpjpe_mm": 24.0, "p_mpjpe_mm": 18.36},
            "world": {"rooted_mm": 33.33, "place_mm": 41.0},
            "world_limit": {"rooted_mm": 25.5, "place_mm": None},
            "left_out": {"a:1": {"cam2": "its picture is mirrored"}},
        },
        console,
    )
    text = said(console)
    assert "rooted mm" in text
    rows = [line for line in text.splitlines() if "│" in line]
    assert any("self-calibrated" in row and "33.3" in row and "41.0" in row for row in rows)
    assert any("the limit" in row and "25.5" in row for row in rows)
    assert "a:1: cam2 left out, its picture is mirrored" in text


def test_a_camera_that_stands_out_is_named_with_its_ratio(console: Console) -> None:
    show_summary(FACTS | {"standing_out": {"a:0": {"left": 2.23}}}, console)
    assert "a:0: left stands out, its reprojection error is 2.2 times that" in said(console)


def test_instants_that_cameras_share_are_a_table_of_a_single_session(console: Console) -> None:
    shared = {"a:0": {"left": {"middle": 120, "right": 7}, "middle": {"right": 95}}}
    one = FACTS | {"sessions": 1, "shared_instants": shared}
    show_summary(
        one | {"weak_link": {"a:0": "the weakest link is between left and right"}}, console
    )
    lines = [line.split() for line in said(console).splitlines()]
    assert ["middle", "right"] in lines
    assert ["left", "120", "7"] in lines
    assert ["middle", "95"] in lines
    assert "a:0: the weakest link is between left and right" in said(console)


def test_two_cameras_and_many_sessions_have_no_such_table(console: Console) -> None:
    show_summary(FACTS | {"sessions": 1, "shared_instants": {"a": {"left": {"right": 9}}}}, console)
    many = {name: {"left": {"middle": 9, "right": 9}, "middle": {"right": 9}} for name in "ab"}
    show_summary(FACTS | {"sessions": 2, "shared_instants": many}, console)
    assert "share" not in said(console)


def test_two_cameras_whose_places_are_not_to_be_trusted_are_said(console: Console) -> None:
    show_summary(FACTS | {"position_within_share": {"a:0": 0.234}}, console)
    assert "a:0: do not trust the positions of the two cameras" in said(console)
    assert "off by 23%" in said(console)
