"""The skeletons of a night's report: which are shown, and how far they are off."""

import copy
from typing import Any

import numpy as np
import pytest

from tests.support.nights import night_report, skeletons
from train.report.skeletons import read_build, read_shown


def test_a_bodys_distance_is_the_mean_of_its_joints_from_the_target() -> None:
    report: dict[str, Any] = night_report() | {"skeletons": skeletons(1)}
    told = report["skeletons"][0]
    told["before"] = (np.array(told["target"]) + np.array([0.3, 0.4, 0])).tolist()
    told["after"] = copy.deepcopy(told["target"])
    told["after"][2][2] += 0.16
    build = read_build(report)
    assert build is not None
    (shown,) = read_shown(report, build)
    assert shown.name == told["session"]
    assert shown.t_s == told["t_s"]
    assert shown.distance(shown.before) == pytest.approx(0.5)
    assert shown.distance(shown.after) == pytest.approx(0.01)
    assert shown.distance(np.full_like(shown.after, np.nan)) is None


def test_an_instant_that_lacks_a_body_is_left_out_and_without_bones_nothing_is_shown() -> None:
    report: dict[str, Any] = night_report() | {"skeletons": skeletons(4)}
    build = read_build(report)
    assert build is not None
    del report["skeletons"][0]["after"]
    report["skeletons"][1]["target"] = [["x", 0, 0]] * 16
    report["skeletons"][2] = None
    assert [shown.t_s for shown in read_shown(report, build)] == [report["skeletons"][3]["t_s"]]
    assert read_shown({}, build) == []
    assert read_build({}) is None
    assert read_build({"bones": [[0], "ab", [0, -1]]}) is None
