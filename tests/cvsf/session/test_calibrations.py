"""Calibrations as events of a session, and the newest as a file beside it."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from cvsf.multiview.calibration import to_plain
from cvsf.session.calibrations import (
    CAMERAS,
    EVENT_NAME,
    CalibrationUpdate,
    calibrations,
    cameras_file,
    from_event,
    read_cameras,
    to_event,
)
from cvsf.session.reader import SessionReader
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from tests.support.made_calibration import made_calibration
from tests.support.material import make_frame


def held(number: int, noise_share: float = 0.01) -> CalibrationUpdate:
    return CalibrationUpdate(
        t_ns=1_000 * number,
        number=number,
        cause="first" if number == 1 else "moved",
        moved=() if number == 1 else ("cam1",),
        calibration=made_calibration(noise_share=noise_share),
    )


def test_a_calibration_written_as_an_event_is_read_back_with_its_cause_and_cameras() -> None:
    sent = held(2, 0.015)
    got = from_event(json.loads(json.dumps(to_event(sent))))
    assert (got.t_ns, got.number, got.cause, got.moved) == (2000, 2, "moved", ("cam1",))
    assert to_plain(got.calibration) == to_plain(sent.calibration)


@pytest.mark.parametrize("field", ["t_ns", "number", "cause", "moved", "cameras"])
def test_an_event_without_one_of_its_fields_is_refused_by_the_name(field: str) -> None:
    event = to_event(held(1))
    del event[field]
    with pytest.raises(ValueError, match=f"the calibration: '{field}' is missing or malformed"):
        from_event(event)


def test_the_calibrations_of_a_session_come_in_order_and_a_damaged_one_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = SessionWriter(tmp_path / "s")
    writer.write(make_frame("cam0", 0))
    for number in (1, 2, 3):
        event = to_event(held(number))
        if number == 2:
            event["cameras"] = {"schema": 99}
        writer.write_event({"event": EVENT_NAME, **event})
    writer.close()
    with caplog.at_level(logging.WARNING):
        found = list(calibrations(SessionReader(tmp_path / "s")))
    assert [each.number for each in found] == [1, 3]
    assert [record.message for record in caplog.records] == ["calibration left out"]


def test_the_file_beside_a_session_holds_the_cameras_and_their_number(tmp_path: Path) -> None:
    path = tmp_path / CAMERAS
    path.write_bytes(cameras_file(to_event(held(7))))
    found = read_cameras(path)
    assert (found.number, found.cause, found.t_ns) == (7, "known", 0)
    np.testing.assert_array_equal(found.calibration.rig.focal_px, made_calibration().rig.focal_px)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"cameras\.json cannot be read \(No such file or directory\): name a"),
        (b"no json", r"cameras\.json is no cameras\.json of a session: Expecting value"),
        (b"[1, 2]", r"is no cameras\.json of a session: "),
        (b'{"schema": 99}', "cameras have schema 99, expected 1"),
    ],
)
def test_a_file_without_cameras_is_refused_with_what_is_wrong(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    path = tmp_path / CAMERAS
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Refusal, match=sentence):
        read_cameras(path)
