"""The structs and requests of Linux's video interface, as the kernel has them."""

import ctypes
from pathlib import Path

import pytest

from capture.sources import v4l2_api as api


def test_structs_and_requests_have_the_sizes_and_numbers_of_the_kernel() -> None:
    sizes = {
        api.Capability: 104,
        api.FormatDescription: 64,
        api.FrameSize: 44,
        api.PixelFormat: 48,
        api.Format: 208,
        api.StreamParameters: 204,
        api.BufferRequest: 20,
        api.Buffer: 88,
        api.Control: 8,
    }
    assert {struct: ctypes.sizeof(struct) for struct in sizes} == sizes
    assert (api.Format.body.offset, api.Buffer.seconds.offset) == (8, 24)
    assert (api.Buffer.sequence.offset, api.Buffer.offset.offset) == (56, 64)
    assert (api.QUERYCAP, api.S_FMT, api.S_PARM) == (0x80685600, 0xC0D05605, 0xC0CC5616)
    assert (api.QBUF, api.DQBUF, api.G_CTRL) == (0xC058560F, 0xC0585611, 0xC008561B)
    assert (api.STREAMON, api.ENUM_FRAMESIZES) == (0x40045612, 0xC02C564A)


def test_the_four_letters_of_a_pixel_format_become_its_number_and_back() -> None:
    assert api.fourcc("MJPG") == 0x47504A4D
    assert [api.letters(api.fourcc(name)) for name in ("MJPG", "YUYV", "Y16 ")] == [
        "MJPG",
        "YUYV",
        "Y16",
    ]


def test_a_file_that_is_no_device_refuses_requests_and_a_second_close_does_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "video0").write_bytes(b"picture")
    device = api.KernelDevice(tmp_path / "video0")
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        device.ioctl(api.QUERYCAP, api.Capability())
    device.close()
    with (tmp_path / "video0").open("rb", buffering=0) as other:  # gets the descriptor let go
        device.close()
        assert other.read() == b"picture"
