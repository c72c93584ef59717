"""Cameras known from a session or a file."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.multiview.body import People
from cvsf.multiview.calibration import Calibration, to_plain
from cvsf.session.calibrations import MIRRORED_PICTURES, CalibrationUpdate
from cvsf.session.reader import MANIFEST
from cvsf.system.errors import Refusal
from runtime.calibration.known_cameras import KnownCameras, known_cameras, recorded_with
from tests.support.filmed import Filmed
from tests.support.instants import instants_of
from tests.support.lenses import made_lens
from tests.support.material import make_pose, record


def test_a_known_calibration_is_given_from_its_time_on_and_a_bad_file_is_refused(
    tmp_path: Path, known: Calibration
) -> None:
    later = KnownCameras([CalibrationUpdate(calibration=known, cause="first", t_ns=5)])
    assert later.updates(4) == []
    assert [update.cause for update in later.updates(5)] == ["first"]
    assert later.updates(6) == []
    (tmp_path / "cameras.json").write_text("[]")
    with pytest.raises(Refusal, match=r"is no cameras\.json"):
        known_cameras(tmp_path / "cameras.json")
    with pytest.raises(Refusal, match="cannot be read"):
        known_cameras(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("cameras", "reason"), [("late", r"cam1 was \+0\.40 s late"), ("two people", "is of 2 people")]
)
def test_cameras_of_a_take_that_a_hub_cannot_correct_are_refused(
    tmp_path: Path, known: Calibration, cameras: str, reason: str
) -> None:
    delay_s = known.rig.delay_s.copy()
    delay_s[1] = 0.4 if cameras == "late" else 0.001
    bodies = known.body, known.body
    people = People(bodies=bodies, change_s=np.array([3.0]), span_person=np.array([0, 1]))
    calibration = replace(
        known,
        rig=replace(known.rig, delay_s=delay_s),
        people=people if cameras == "two people" else None,
    )
    (tmp_path / "cameras.json").write_text(json.dumps(to_plain(calibration)))
    with pytest.raises(Refusal, match=reason):
        known_cameras(tmp_path / "cameras.json")


def test_cameras_whose_pictures_were_mirrored_back_are_refused(
    tmp_path: Path, known: Calibration
) -> None:
    plain = to_plain(known) | {MIRRORED_PICTURES: ["cam1"]}
    (tmp_path / "cameras.json").write_text(json.dumps(plain))
    with pytest.raises(Refusal, match="pictures of cam1 were mirrored"):
        known_cameras(tmp_path / "cameras.json")


def test_what_is_seen_or_lost_changes_nothing_of_known_cameras(
    take: Filmed, known: Calibration
) -> None:
    cameras = KnownCameras([CalibrationUpdate(calibration=known, cause="first", t_ns=5)])
    cameras.send(instants_of(take.observations)[0])
    cameras.camera_moved("cam0", 0.0)
    cameras.all_lost(0.0)
    cameras.close()
    assert cameras.left_out == 0
    assert [update.calibration for update in cameras.updates(5)] == [known]


def test_a_replayed_session_has_the_lenses_that_were_known_when_it_was_recorded(
    tmp_path: Path, known: Calibration
) -> None:
    lens = made_lens(900)
    record(tmp_path / "run", [make_pose(0)], config={"lenses": {"cam0": lens.model_dump()}})
    assert recorded_with(tmp_path / "run") == {"cam0": lens}
    assert recorded_with(tmp_path / "run" / MANIFEST) == {"cam0": lens}
    (tmp_path / "cameras.json").write_text(json.dumps(to_plain(known)))
    assert recorded_with(tmp_path / "cameras.json") is None
    assert recorded_with(None) is None
