"""Cameras known from a session or a file."""

from pathlib import Path

import pytest

from cvsf.multiview.rig import Calibration
from cvsf.session.calibrations import CalibrationUpdate
from cvsf.system.errors import Refusal
from runtime.calibration.known_cameras import KnownCameras, known_cameras
from tests.support.filmed import Filmed
from tests.support.instants import instants_of


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
