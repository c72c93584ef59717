"""Cameras known from a session or a file."""

from pathlib import Path

import pytest

from cvsf.multiview.rig import Calibration
from cvsf.system.errors import Refusal
from runtime.calibration.calibrator_client import News
from runtime.calibration.known_cameras import KnownCameras, known_cameras
from tests.support.filmed import Filmed


def test_a_known_calibration_is_given_from_its_time_on_and_a_bad_file_is_refused(
    tmp_path: Path, known: Calibration
) -> None:
    later = KnownCameras([(5, News(calibration=known, cause="first"))])
    assert later.news(4) == []
    assert [news.cause for news in later.news(5)] == ["first"]
    assert later.news(6) == []
    (tmp_path / "cameras.json").write_text("[]")
    with pytest.raises(Refusal, match=r"is no cameras\.json"):
        known_cameras(tmp_path / "cameras.json")
    with pytest.raises(Refusal, match="cannot be read"):
        known_cameras(tmp_path / "none.json")


def test_what_is_seen_or_lost_changes_nothing_of_known_cameras(
    take: Filmed, known: Calibration
) -> None:
    cameras = KnownCameras([(5, News(calibration=known, cause="first"))])
    cameras.see(take.observations.take(slice(0, 1)), 0)
    cameras.doubt("cam0", 0.0)
    cameras.lose(0.0)
    cameras.close()
    assert cameras.left_out == 0
    assert [news.calibration for news in cameras.news(5)] == [known]
