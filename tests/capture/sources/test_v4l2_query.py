"""What a video device says of itself, and the sentence for one that cannot be used."""

import errno
import os
from pathlib import Path

import pytest

from capture.sources import v4l2_api as api
from capture.sources.v4l2_query import formats, is_camera, refusal
from cvsf.system.errors import Refusal
from tests.support.webcam import SIZE, SimulatedCamera

PATH = Path("/dev/video0")


def test_formats_are_listed_with_their_sizes() -> None:
    offered = formats(SimulatedCamera())
    assert [api.letters(number) for number, _ in offered] == ["YUYV", "MJPG"]
    assert offered[1][1] == [SIZE, (32, 24)]


def test_a_device_of_another_group_is_refused_with_the_cure() -> None:
    assert "usermod -aG video" in str(refusal(PATH, PermissionError(errno.EACCES, "denied")))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EBUSY, "is busy: another program holds it"),
        (errno.EPERM, "may not be opened by this user"),
        (errno.ENODEV, "no camera at /dev/video0"),
        (errno.ENOTTY, "is no V4L2 camera"),
        (errno.EIO, r"cannot be used \(Input/output error\)"),
    ],
)
def test_each_error_of_a_device_has_its_sentence(code: int, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        raise refusal(PATH, OSError(code, os.strerror(code)))


def test_a_device_is_a_camera_by_its_own_abilities_not_by_those_of_its_whole_driver() -> None:
    assert is_camera(api.Capability(capabilities=api.CAPTURE_STREAMING))
    whole = api.DEVICE_CAPS | api.CAPTURE_STREAMING
    assert is_camera(api.Capability(capabilities=whole, device_caps=api.CAPTURE_STREAMING))
    assert not is_camera(api.Capability(capabilities=whole, device_caps=0))


def test_formats_are_listed_without_sizes_where_these_are_not_wanted() -> None:
    assert formats(SimulatedCamera(), sizes=False) == [
        (api.fourcc("YUYV"), []),
        (api.fourcc("MJPG"), []),
    ]
