"""Queries of a video device: its kind, its formats, and the refusal where it cannot be used.

No query starts a camera or changes a setting.
"""

import errno
from pathlib import Path

from capture.sources import v4l2_api as api
from cvsf.system.errors import Refusal


def refusal(path: Path, error: OSError) -> Refusal:
    """The Refusal that says why a device cannot be opened or started; its advice depends on the
    error number. It is returned, not raised.
    """
    if error.errno == errno.EBUSY:
        return Refusal(
            f"{path} is busy: another program holds it (`fuser -v {path}` names it);"
            " close that program or name another camera."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return Refusal(
            f"{path} may not be opened by this user: add the user to the group of the device"
            " (`sudo usermod -aG video $USER`, then log in again)."
        )
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return Refusal(f"no camera at {path}: `cvsf cameras` lists those plugged in.")
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return Refusal(f"{path} is no V4L2 camera: `cvsf cameras` lists those plugged in.")
    return Refusal(f"{path} cannot be used ({error.strerror}): unplug it and plug it in again.")


def is_camera(capability: api.Capability) -> bool:
    """Whether the device itself can both capture pictures and stream them; a UVC camera's metadata
    device does not.
    """
    has_own = capability.capabilities & api.DEVICE_CAPS
    caps = capability.device_caps if has_own else capability.capabilities
    return bool(caps & api.CAPTURE_STREAMING == api.CAPTURE_STREAMING)


def formats(device: api.Device, *, sizes: bool = True) -> list[tuple[int, list[tuple[int, int]]]]:
    """What the camera offers, in its own order: numbers of pixel formats, each with its (width,
    height) in px, largest first. Of a range of sizes, the largest and the smallest; without
    `sizes`, empty lists. OSError if the device fails; it is not started or changed.
    """
    offered: list[tuple[int, list[tuple[int, int]]]] = []
    description = api.FormatDescription(type=api.VIDEO_CAPTURE)
    while _answers(device, api.ENUM_FMT, description):
        number = int(description.pixelformat)
        offered.append((number, _sizes(device, number) if sizes else []))
        description.index += 1
    return offered


def _sizes(device: api.Device, pixelformat: int) -> list[tuple[int, int]]:
    size = api.FrameSize(pixel_format=pixelformat)
    found: set[tuple[int, int]] = set()
    while _answers(device, api.ENUM_FRAMESIZES, size):
        if size.type != api.DISCRETE:  # a range: its smallest and its largest
            return [(size.height, size.rest[1]), (size.width, size.rest[0])]
        found.add((int(size.width), int(size.height)))
        size.index += 1
    return sorted(found, reverse=True)


def _answers(device: api.Device, request: int, argument: api.Argument) -> bool:
    try:
        device.ioctl(request, argument)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):  # the end of the list, or no such list
            return False
        raise
    return True
