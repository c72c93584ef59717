"""What came of many sessions, in one table of figures."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from tests.support.made_calibration import calibration_of
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.calibration_errors import Errors
from train.evaluation.calibration_summary import summary
from train.evaluation.take_errors import TakeErrors


def calibration(scale_source: str = "adult") -> Calibration:
    """Two cameras, as plain as can be."""
    two = np.zeros(2)
    rig = Rig(
        cameras=("a", "b"),
        image_px=np.ones((2, 2)),
        view_from_world=np.tile(np.eye(3), (2, 1, 1)),
        translation=np.zeros((2, 3)),
        focal_px=np.ones(2),
        centre_px=np.zeros((2, 2)),
        distortion=np.zeros((len(two), 5)),
        delay_s=two,
    )
    return calibration_of(rig, scale_source=scale_source)


def mm(mean: float, count: int = 1) -> Errors:
    return Errors(n_mm=mean * count, p_mm=mean * count / 2, count=count)


def session(
    name: str, fused: float | None, limit: float = 20.0, **changed: Any
) -> CalibrationResult:
    """Calibrated with a mean error over that of true cameras; or refused, without one."""
    errors = {"calibrated_limit": mm(limit), "lifter_fused": mm(60), "mean_of_canonical": mm(80)}
    if fused is not None:
        errors["fused"] = mm(fused)
    facts: dict[str, Any] = {
        "name": name,
        "duration_s": 4.0,
        "seconds": 2.0,
        "triangulation_s": 0.5,
        "errors": errors,
        "calibration": None if fused is None else calibration(),
        "refused": "nobody moved" if fused is None else "",
    }
    return CalibrationResult(**facts | changed)


def test_refused_and_failed_sessions_count_against_the_share_that_was_calibrated() -> None:
    outcomes = [session("a", 22), session("b", 50), session("c", None), session("d", 30)]
    facts = summary([*outcomes, session("e", 20, duration_s=2.0)])
    assert facts["sessions"] == 5
    assert facts["sessions_calibrated_share"] == 0.6
    assert (facts["sessions_of_3_s"], facts["sessions_of_3_s_calibrated_share"]) == (4, 0.5)
    assert facts["refused"] == {"c": "nobody moved"}
    assert facts["failed"] == {"b": 2.5}
    assert facts["within_2_share"] == pytest.approx(3 / 5)
    assert facts["fused_over_limit_median"] == pytest.approx(1.3)


def test_a_refused_session_is_in_no_mean_but_that_of_all_sessions() -> None:
    facts = summary([session("a", 20), session("b", 40), session("c", None)])
    assert facts["fused"] == {"n_mpjpe_mm": 30.0, "p_mpjpe_mm": 15.0}
    assert facts["lifter_fused"]["n_mpjpe_mm"] == 60.0
    assert facts["all_sessions"]["fused"]["n_mpjpe_mm"] == 40.0  # 20, 40 and the lifter's 60
    assert facts["seconds_per_session"] == 2.0
    assert facts["seconds_over_triangulation"] == 4.0


def test_errors_are_pooled_over_instants_and_cameras_by_medians() -> None:
    def scored(focal: list[float], centre: float, size_mm: float) -> dict[str, Any]:
        return {
            "focal": np.array(focal),
            "centre": centre,
            "up_deg": 10 * centre,
            "size_mm": size_mm,
            "reprojection": {"self_calibrated": 2.0, "true_cameras": 1.0},
            "bones": {"thigh": {"self_calibrated": 4.0, "truth": 3.0}},
        }

    facts = summary(
        [
            session(
                "a",
                20,
                cameras=scored([0.01, 0.02], 0.1, 950),
                errors={
                    "fused": mm(20, 3),
                    "calibrated_limit": mm(20, 3),
                    "lifter_fused": mm(60, 3),
                },
            ),
            session("b", 40, cameras=scored([0.03, 0.3], 0.3, 1010)),
        ]
    )
    assert facts["fused"]["n_mpjpe_mm"] == 25.0
    assert facts["focal_error_median"] == pytest.approx(0.025)
    assert facts["focal_error_mean"] == pytest.approx(0.09)
    assert facts["centre_error_share"] == pytest.approx(0.2)
    assert facts["up_error_deg"] == pytest.approx(2)
    assert facts["metre_error"] == pytest.approx(0.03)
    assert facts["bone_spread_mm"] == {"thigh": {"self_calibrated": 4.0, "truth": 3.0}}


def test_sessions_without_a_truth_have_costs_and_no_errors() -> None:
    facts = summary([session("a", 20, errors={}, calibration=calibration("height"))])
    assert facts["sessions_calibrated_share"] == 1
    assert facts["scale_source"] == ["height"]
    assert not {"fused", "calibrated_limit", "focal_error_median"} & facts.keys()
    refused = summary([session("a", None, errors={})])
    assert refused["sessions_calibrated_share"] == 0
    assert refused["seconds_over_triangulation"] is None


def test_still_cameras_fail_by_the_whole_take_and_panning_ones_do_not() -> None:
    drifting = {
        "fused": TakeErrors(rooted_mm=50.0, place_mm=60.0),
        "calibrated_limit": TakeErrors(rooted_mm=20.0, place_mm=20.0),
    }
    still = session("a", 20, world=drifting)
    rig = calibration().rig
    pan = replace(
        rig,
        view_from_world=np.tile(np.eye(3), (5, 2, 1, 1)),
        translation=np.zeros((5, 2, 3)),
        focal_px=np.ones((5, 2)),
    )
    panning = session("b", 20, world=drifting, calibration=calibration_of(pan))
    assert still.rooted_over_limit == 2.5
    facts = summary([still, panning])
    assert facts["sessions_calibrated_share"] == 0.5
    assert facts["failed"] == {"a": 2.5}
    assert facts["world"] == {"rooted_mm": 50.0, "place_mm": 60.0}


def test_computing_time_is_also_told_over_the_length_of_the_recordings() -> None:
    facts = summary([session("a", 20), session("b", None)])
    assert facts["seconds_over_length"] == 0.5
    assert facts["peak_memory_mb"] > 10
    assert summary([session("a", 20, duration_s=0.0)])["seconds_over_length"] is None
