"""The cameras plugged into this machine, by number, path and given name."""

from pathlib import Path

import pytest

from capture.sources import v4l2_devices
from cvsf.system.errors import Refusal


def test_without_a_camera_the_refusal_names_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refusal, match=r"no camera was found: no .*/video\*.*--source sim"):
        v4l2_devices.find_all(dev=tmp_path)
    (tmp_path / "video0").write_bytes(b"")
    with pytest.raises(Refusal, match=r"no camera was found: .*video0 is no V4L2 camera"):
        v4l2_devices.find_all(dev=tmp_path)


def test_a_device_has_its_stable_name_by_id_before_that_by_path(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    for folder in ("by-path", "by-id"):
        (tmp_path / "v4l" / folder).mkdir(parents=True)
        (tmp_path / "v4l" / folder / "usb-lens").symlink_to("../../video0")
    known = v4l2_devices._stable_names(tmp_path)
    assert known == {(tmp_path / "video0").resolve(): tmp_path / "v4l" / "by-id" / "usb-lens"}


def test_a_file_of_names_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    v4l2_devices.names_path(tmp_path).write_text("[cameras]\nleft = 3\n")
    with pytest.raises(Refusal, match="expected lines like"):
        v4l2_devices.read_names(tmp_path)
    v4l2_devices.names_path(tmp_path).write_text("[cameras\n")
    with pytest.raises(Refusal, match="cannot be read"):
        v4l2_devices.read_names(tmp_path)


def test_names_that_were_written_are_read_again_and_name_a_camera_by_either_path(
    tmp_path: Path,
) -> None:
    lens = v4l2_devices.Listed(
        device=Path("/dev/video0"),
        stable=Path("/dev/v4l/by-id/usb-lens"),
        card="Lens",
        driver="uvcvideo",
        formats={},
    )
    assert v4l2_devices.read_names(tmp_path) == {}
    for address in (lens.device, lens.stable):
        names = {"right": "rtsp://a/b", "left": str(address)}
        v4l2_devices.write_names(tmp_path, names)
        assert v4l2_devices.read_names(tmp_path) == names
        assert v4l2_devices.name_of(lens, names) == "left"
    assert v4l2_devices.name_of(lens, {"right": "rtsp://a/b"}) is None


def test_a_number_or_path_without_a_camera_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no camera 3: 0 are plugged in"):
        v4l2_devices.find("3", dev=tmp_path)
    with pytest.raises(Refusal, match=f"no camera at {tmp_path}/video7"):
        v4l2_devices.find(f"{tmp_path}/video7", dev=tmp_path)
    (tmp_path / "video0").write_bytes(b"")
    with pytest.raises(Refusal, match="video0 is no V4L2 camera"):
        v4l2_devices.find(f"{tmp_path}/video0", dev=tmp_path)
