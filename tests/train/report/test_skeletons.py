"""The skeletons of a night's report: which are shown, and how far they are off."""

import copy
from typing import Any

import numpy as np
import pytest

from tests.support.nights import night_report, skeletons
from train.report.skeletons import read_build, read_instants


def test_a_bodys_distance_is_the_mean_of_its_joints_from_the_target() -> None:
    report: dict[str, Any] = night_report() | {"skeletons": skeletons(1)}
    entry = report["skeletons"][0]
    entry["before"] = (np.array(entry["target"]) + np.array([0.3, 0.4, 0])).tolist()
    entry["after"] = copy.deepcopy(entry["target"])
    entry["after"][2][2] += 0.16
    build = read_build(report)
    assert build is not None
    (instant,) = read_instants(report, build)
    assert instant.name == entry["session"]
    assert instant.t_s == entry["t_s"]
    assert instant.distance(instant.before) == pytest.approx(0.5)
    assert instant.distance(instant.after) == pytest.approx(0.01)
    assert instant.distance(np.full_like(instant.after, np.nan)) is None


def test_an_instant_that_lacks_a_body_is_left_out_and_without_bones_nothing_is_drawn() -> None:
    report: dict[str, Any] = night_report() | {"skeletons": skeletons(4)}
    build = read_build(report)
    assert build is not None
    del report["skeletons"][0]["after"]
    report["skeletons"][1]["target"] = [["x", 0, 0]] * 16
    report["skeletons"][2] = None
    assert [instant.t_s for instant in read_instants(report, build)] == [
        report["skeletons"][3]["t_s"]
    ]
    assert read_instants({}, build) == []
    assert read_build({}) is None
    assert read_build({"bones": [[0], "ab", [0, -1]]}) is None
