"""A calibration as `cameras.json`, and how cameras compare with each other."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvsf.multiview.calibration import Calibration, from_plain, to_plain
from tests.support.made_calibration import made_calibration, made_rig


@pytest.fixture(params=[None, 5], ids=["still", "panning"])
def found(request: pytest.FixtureRequest) -> Calibration:
    return made_calibration(made_rig(instants=request.param))


def test_cameras_written_as_json_are_read_back_unchanged(found: Calibration) -> None:
    again = from_plain(json.loads(json.dumps(to_plain(found))))
    for name in ("view_from_world", "translation", "focal_px", "centre_px", "distortion"):
        assert (getattr(again.rig, name) == getattr(found.rig, name)).all()
    assert again.body.joint_set is found.body.joint_set
    assert again.noise_share == found.noise_share


def test_the_deviation_of_the_metre_is_kept_and_older_files_have_none() -> None:
    stated = replace(made_calibration(), scale_source="height", scale_deviation_share=0.07)
    plain = json.loads(json.dumps(to_plain(stated)))
    assert from_plain(plain).scale_deviation_share == 0.07
    del plain["scale_deviation_share"]
    assert from_plain(plain).scale_deviation_share is None
    assert from_plain(to_plain(made_calibration())).scale_deviation_share is None


def test_the_drift_of_the_world_is_kept_and_older_files_have_none() -> None:
    stated = replace(made_calibration(), world_drift_mm=31.5)
    plain = json.loads(json.dumps(to_plain(stated)))
    assert from_plain(plain).world_drift_mm == 31.5
    del plain["world_drift_mm"]
    assert from_plain(plain).world_drift_mm is None


@pytest.mark.parametrize("broken", [{}, {"schema": 99}, {"schema": 1, "rig": {}}])
def test_a_file_that_holds_no_cameras_of_this_schema_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cameras"):
        from_plain(broken)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cameras": ["cam0", "cam0", "cam2"]}, "two cameras have the same name"),
        ({"rig": {"focal_px": [1000.0, -1.0, 1000.0]}}, r"focal_px is \(3,\), expected 3 above 0"),
        (
            {"rig": {"distortion": [[0.0] * 5] * 2}},
            r"distortion is \(2, 5\), expected numbers \(3, 5\)",
        ),
        (
            {"rig": {"view_from_world": np.ones((3, 3, 3)).tolist()}},
            "view_from_world is not a rotation",
        ),
    ],
)
def test_cameras_that_contradict_themselves_are_refused_with_what_is_wrong(
    change: dict[str, Any], sentence: str
) -> None:
    plain = to_plain(made_calibration())
    rig = plain["rig"] | change.get("rig", {})
    with pytest.raises(ValueError, match=sentence):
        from_plain(plain | change | {"rig": rig})


def test_files_with_k1_alone_are_read_and_newer_ones_still_say_k1() -> None:
    plain = json.loads(json.dumps(to_plain(made_calibration(made_rig(radial=-0.2)))))
    assert plain["rig"]["radial"] == [-0.2] * 3
    del plain["rig"]["distortion"]
    assert (from_plain(plain).rig.distortion == [[-0.2, 0, 0, 0, 0]] * 3).all()


def test_what_is_known_of_lenses_is_kept() -> None:
    said = replace(made_calibration(), lenses={"cam1": "distortion found, k1 -0.20"})
    assert from_plain(json.loads(json.dumps(to_plain(said)))).lenses == said.lenses


def test_a_camera_is_compared_with_the_median_of_the_others() -> None:
    found = made_calibration(made_rig(4), reprojection_share=np.array([0.01, 0.01, 0.04, 0.012]))
    ratio = found.uncertainty.reprojection_over_others
    np.testing.assert_allclose(ratio, [0.01 / 0.012, 0.01 / 0.012, 4.0, 1.2])
    pair = found.of_views([1, 2]).uncertainty
    assert (pair.reprojection_over_others == 1).all()
