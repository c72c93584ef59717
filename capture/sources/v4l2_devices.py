"""The V4L2 cameras of this machine, and the names that the user gave them.

A camera is known by its stable name (/dev/v4l/by-id), which survives replugging; its number is its
place in this list.
"""

import json
import logging
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capture.sources import v4l2_api as api
from capture.sources.source import Found
from capture.sources.v4l2_query import formats, is_camera, refusal
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder

log = logging.getLogger(__name__)

_DEV = Path("/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One camera that is plugged in."""

    device: Path  # /dev/video0
    stable: Path  # its name under /dev/v4l/by-id where it has one, else by-path, else the device
    card: str
    driver: str
    formats: Mapping[str, tuple[tuple[int, int], ...]]  # four letters: sizes, largest first


def list_cameras(dev: Path = _DEV) -> tuple[list[Listed], list[str]]:
    """The cameras in order of the number of their /dev/video*, and a sentence for each video device
    that could not be queried; both lists are empty if there is no device. A camera's number is its
    place in the list. Devices that capture no pictures, such as a camera's metadata device, are
    left out. Each device is opened, none is started; `dev` is the folder of the devices.
    """
    stable = _stable_names(dev)
    cameras, problems = [], []
    for path in sorted(dev.glob("video*"), key=_number):
        try:
            camera = _ask(path, stable.get(path.resolve(), path))
        except OSError as error:
            problems.append(str(refusal(path, error)))
            continue
        cameras += [camera] if camera else []
    return cameras, problems


def find_all(data: Path | None = None, dev: Path = _DEV) -> list[Found]:
    """Every camera that is plugged in, at its stable path, with its given name or None. Refusal if
    there is none, or the file of names cannot be read.
    """
    cameras, problems = list_cameras(dev)
    if not cameras:
        problem = " ".join(problems) or f"no {dev}/video* answers as one."
        raise Refusal(
            f"no camera was found: {problem} Plug one in, name one with --source (rtsp://..., video"
            " files, a session), or take the simulated slope with --source sim."
        )
    return [_found(camera, read_names(data)) for camera in cameras]


def find(part: str, data: Path | None = None, dev: Path = _DEV) -> list[Found]:
    """The cameras of a number in the list, a device's path, or a pattern of paths with `*`. Refusal
    if the number or path is no camera, no path matches, or the file of names cannot be read.
    Matches of a pattern that are no cameras are left out, so the list may be empty.
    """
    cameras, problems = list_cameras(dev)
    names = read_names(data)
    if part.isdecimal():
        if int(part) >= len(cameras):
            listed = ", ".join(f"{i} {c.card} ({c.device})" for i, c in enumerate(cameras))
            raise Refusal(
                " ".join(
                    [
                        f"no camera {part}: {len(cameras)} are plugged in"
                        f"{f' ({listed})' if listed else ''}, see `cvsf cameras`.",
                        *problems,
                    ]
                )
            )
        return [_found(cameras[int(part)], names)]
    paths = sorted(Path("/").glob(part.lstrip("/")), key=_number) if "*" in part else [Path(part)]
    if not paths:
        raise Refusal(f"no camera at {part}: `cvsf cameras` lists those plugged in.")
    known = {camera.device.resolve(): camera for camera in cameras}
    found = []
    for path in paths:
        if camera := known.get(path.resolve()):
            found.append(_found(camera, names))
        elif "*" not in part:  # a UVC camera's metadata device matches a glob and is no camera
            raise _why_not(path)
    return found


def names_path(data: Path | None) -> Path:
    """The path of the file with the cameras' given names, which may not exist; None is the default
    data folder.
    """
    return data_folder(data) / "cameras.toml"


def read_names(data: Path | None) -> dict[str, str]:
    """The names given with `cvsf cameras --name`, as {name: address}; empty without a file, or
    without [cameras] in it. Refusal if the file cannot be read or holds something else there.
    """
    path = names_path(data)
    if not path.exists():
        return {}
    try:
        named = tomllib.loads(path.read_text("utf-8")).get("cameras", {})
    except (OSError, ValueError) as error:
        raise Refusal(f"{path} cannot be read ({error}): mend or remove it.") from error
    if not isinstance(named, dict) or not all(isinstance(v, str) for v in named.values()):
        raise Refusal(f'{path}: expected lines like left = "/dev/v4l/by-id/..." under [cameras].')
    return named


def write_names(data: Path | None, names: Mapping[str, str]) -> Path:
    """Write the names, as {name: address}, in place of all earlier ones; makes the folder if need
    be and returns the file's path. The file is replaced whole or not at all. Refusal if it cannot
    be written.
    """
    path = names_path(data)
    lines = ["[cameras]", *(f"{json.dumps(n)} = {json.dumps(a)}" for n, a in names.items()), ""]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".toml.new")
        fresh.write_text("\n".join(lines), "utf-8")
        fresh.replace(path)
    except OSError as error:
        raise Refusal(
            f"{path} cannot be written ({error.strerror}): name a folder you own with --data."
        ) from error
    return path


def name_of(camera: Listed, names: Mapping[str, str]) -> str | None:
    """The name that the user gave the camera, by its stable path or its /dev/video*; None if it has
    none.
    """
    ours = {str(camera.stable), str(camera.device)}
    return next((name for name, address in names.items() if address in ours), None)


def _found(camera: Listed, names: Mapping[str, str]) -> Found:
    return Found(uri=f"v4l2:{camera.stable}", name=name_of(camera, names))


def _ask(path: Path, stable: Path) -> Listed | None:
    device = api.KernelDevice(path)
    try:
        capability = api.Capability()
        device.ioctl(api.QUERYCAP, capability)
        if not is_camera(capability):
            return None
        return Listed(
            device=path,
            stable=stable,
            card=bytes(capability.card).decode(errors="replace"),
            driver=bytes(capability.driver).decode(errors="replace"),
            formats={api.letters(number): tuple(sizes) for number, sizes in formats(device)},
        )
    finally:
        device.close()


def _why_not(path: Path) -> Refusal:
    """Why the device at the path is not among the cameras."""
    try:
        _ask(path, path)
    except OSError as error:
        return refusal(path, error)
    return Refusal(f"{path} is a video device but no camera: `cvsf cameras` lists the cameras.")


def _stable_names(dev: Path) -> dict[Path, Path]:
    links = [*sorted(dev.glob("v4l/by-path/*")), *sorted(dev.glob("v4l/by-id/*"))]
    return {link.resolve(): link for link in links}  # by-id comes last and wins


def _number(path: Path) -> tuple[int, str]:
    digits = re.search(r"\d+$", path.name)
    return (int(digits.group()) if digits else 0, path.name)
