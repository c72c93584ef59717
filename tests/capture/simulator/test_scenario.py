"""The address of a simulated camera: what it may say, and how it is read."""

import pytest

from capture.simulator.scenario import MOST, Knock, Staged, find, read_address
from cvsf.system.errors import Refusal


@pytest.mark.parametrize(
    ("uri", "staged"),
    [
        ("sim:still?index=2", Staged(index=2, moving=False)),
        ("sim:moving?index=0&take=3", Staged(index=0, moving=True, take=3)),
        (
            "sim:still?index=1&take=3&turn=-5.0@2.5",
            Staged(index=1, moving=False, knock=Knock(turn_deg=-5, after_s=2.5), take=3),
        ),
    ],
)
def test_an_address_names_camera_kind_take_and_knock(uri: str, staged: Staged) -> None:
    assert read_address(uri) == staged


def test_an_address_that_was_found_is_read_as_what_was_asked_for() -> None:
    found = find("sim:2,3?turn=3:5@12&take=7", 4)
    assert [camera.name for camera in found] == ["cam2", "cam3"]
    assert [read_address(camera.uri) for camera in found] == [
        Staged(index=2, moving=False, take=7),
        Staged(index=3, moving=False, take=7, knock=Knock(turn_deg=5, after_s=12)),
    ]


def test_a_slope_has_no_more_cameras_than_it_has_places() -> None:
    assert len(find("sim", 99)) == MOST
    with pytest.raises(Refusal, match="is no simulated source"):
        find(f"sim:{MOST}", 1)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("sim?turn=0:91@1", "is no simulated source"),
        ("sim?turn=0:5@1&turn=0:6@2", "is no simulated source"),
        ("sim?take=1&take=2", "is no simulated source"),
        ("sim:moving?turn=0:5@1", "cameras that pan cannot be knocked"),
    ],
)
def test_a_knock_or_take_that_cannot_be_is_refused(source: str, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        find(source, 2)
