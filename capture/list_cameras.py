"""`cvsf cameras`: lists the cameras, shows their pictures and gives them names.

A name is kept in the data folder and means the camera, not the socket it is plugged into.
"""

import json
import logging
import math
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import simplejpeg
import typer
from rich.console import Console
from rich.table import Table

from capture.open_source import SourceSpec, find_sources, open_source
from capture.sources.source import Exposure, SourceConfig, SourceEnded, SourceLost
from capture.sources.v4l2_devices import Listed, list_cameras, name_of, read_names, write_names
from cvsf.multiview.known_lenses import (
    KEPT,
    Lens,
    is_only_numbered,
    kept_lenses,
    lenses_to_toml,
    read_lenses,
)
from cvsf.shapes import UInt8
from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder
from cvsf.wire import CAMERA_NAME

log = logging.getLogger(__name__)

_SETTLE_S = 1.0
"""A webcam's first pictures are dark until its exposure has settled; a guess, not measured."""
_FIRST_S = 5.0
"""Longest wait for the first picture; a guess, not measured."""
_TILE_PX = (480, 360)


def cameras(
    source: Annotated[
        str | None, typer.Option(help="Preview these sources instead of the cameras plugged in.")
    ] = None,
    cams: Annotated[int | None, typer.Option(help="How many of --source.")] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Write a picture of each camera and a contact sheet here.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="NUMBER=NAME or ADDRESS=NAME, to be used as --source NAME."),
    ] = None,
    intrinsics: Annotated[
        Path | None,
        typer.Option(
            help="TOML of Pose2Sim, anipose or Caliscope: keep the lenses of named cameras."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder, where names and lenses are kept.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, last line.")] = False,
) -> None:
    """List, preview and name the cameras of this machine."""
    listed, problems = list_cameras()
    before, folder = read_names(data), data_folder(data)
    names = _give_names(name, listed, data) if name else before
    lenses = {
        camera: lens
        for camera, lens in kept_lenses(folder).items()
        if before.get(camera) == names.get(camera)
    }
    if intrinsics is not None:
        lenses |= _lenses_of_named(intrinsics, names)
    if lenses != kept_lenses(folder):
        _keep(lenses, folder)
    written = {}
    if preview is not None:
        count = cams or (4 if source is not None else max(1, len(listed)))
        written = _preview(find_sources(source, count, data=data), preview)
    answer = {
        "cameras": [_described(i, camera, names) for i, camera in enumerate(listed)],
        "names": names,
        "lenses": {camera: lens.model_dump() for camera, lens in lenses.items()},
        "problems": problems,
        "preview": {camera: str(path) for camera, path in written.items()},
    }
    _show(listed, names, problems, written)
    for camera, lens in lenses.items():
        typer.echo(f"lens of {camera}: {_described_lens(lens)}", err=True)
    if as_json:
        typer.echo(json.dumps(answer))


def _described(number: int, camera: Listed, names: dict[str, str]) -> dict[str, object]:
    return {
        "number": number,
        "name": name_of(camera, names),
        "device": str(camera.device),
        "stable": str(camera.stable),
        "card": camera.card,
        "driver": camera.driver,
        "formats": {letters: list(sizes) for letters, sizes in camera.formats.items()},
    }


def _give_names(given: list[str], listed: list[Listed], data: Path | None) -> dict[str, str]:
    names = read_names(data)
    for text in given:
        address, _, name = text.rpartition("=")
        if not address or not CAMERA_NAME.fullmatch(name) or name.isdecimal() or name == "sim":
            raise Refusal(
                f"--name is {text!r}: expected NUMBER=NAME such as 0=left, the name of letters,"
                " digits, '_', '-' and '.'."
            )
        if address.isdecimal():
            if int(address) >= len(listed):
                raise Refusal(
                    f"no camera {address}: {len(listed)} are plugged in, see `cvsf cameras`."
                )
            address = str(listed[int(address)].stable)
        elif not address.startswith(("/dev/", "rtsp://", "rtsps://")):
            raise Refusal(
                f"--name is {text!r}: expected a camera's number, a /dev/... path or an rtsp://"
                " address before the '='."
            )
        names = {n: a for n, a in names.items() if a != address} | {name: address}
    write_names(data, names)
    return names


def _lenses_of_named(path: Path, names: dict[str, str]) -> dict[str, Lens]:
    """The lenses in the file that are of named cameras."""
    found = read_lenses(path)
    mine = {camera: lens for camera, lens in found.items() if camera in names}
    if not mine:
        raise Refusal(
            f"{path} has the cameras {', '.join(found)}, expected names given with `cvsf cameras"
            f" --name` ({', '.join(names) or 'none yet'}): name the cameras, and use these names."
        )
    if numbered := [camera for camera in mine if is_only_numbered(camera)]:
        raise Refusal(
            f"{numbered[0]} may be the name of any camera, and its lens would be used for others:"
            " give the camera a name of its own, such as --name 0=left, in the file too."
        )
    return mine


def _keep(lenses: dict[str, Lens], data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
        replace_file(Storage(), data / KEPT, lenses_to_toml(lenses).encode())
    except OSError as error:
        raise Refusal(
            f"{data / KEPT} cannot be written ({error.strerror}): name a folder you own with"
            " --data."
        ) from error


def _described_lens(lens: Lens) -> str:
    size = "" if lens.size is None else f" at {lens.size[0]:.0f} x {lens.size[1]:.0f}"
    bend = f", k1 {lens.distortions[0]:+.2f}" if lens.distortions else ""
    return f"focal length {lens.matrix[0][0]:.0f} px{size}{bend}"


def _preview(specs: list[SourceSpec], folder: Path) -> dict[str, Path]:
    """A picture of each camera, and all of them on one sheet."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {spec.camera: _one_picture(spec) for spec in specs}
        written = {camera: folder / f"{camera}.jpg" for camera in taken}
        for camera, exposure in taken.items():
            written[camera].write_bytes(exposure.jpeg)
        sheet = contact_sheet([exposure.jpeg for exposure in taken.values()])
        written["contact_sheet"] = folder / "contact_sheet.jpg"
        written["contact_sheet"].write_bytes(simplejpeg.encode_jpeg(sheet, colorspace="BGR"))
    except OSError as error:
        raise Refusal(
            f"{folder} cannot be written ({error.strerror}): name another folder with --preview."
        ) from error
    return written


def _one_picture(spec: SourceSpec) -> Exposure:
    """A picture of the camera once its exposure has settled; a file's first frame."""
    camera = open_source(spec.uri, SourceConfig())
    started_s, kept = time.monotonic(), None
    try:
        while time.monotonic() - started_s < (_SETTLE_S if kept else _FIRST_S):
            kept = camera.read(0.2) or kept
            if kept is not None and camera.pace == "lossless":
                break
    except (SourceLost, SourceEnded) as error:
        raise Refusal(f"{spec.camera} gave no picture ({error}): plug it in again.") from error
    finally:
        camera.close()
    if kept is None:
        raise Refusal(f"{spec.camera} gave no picture within {_FIRST_S:.0f} s: plug it in again.")
    return kept


def contact_sheet(jpegs: list[bytes]) -> UInt8[npt.NDArray[np.uint8], "height width 3"]:
    """One BGR picture of all JPEGs, row by row in tiles of 480 x 360 px, about as many columns as
    rows. Each picture is whole, scaled to its tile, at its upper left; the rest is black.
    ValueError for data that are no JPEG; there must be at least one (ZeroDivisionError).
    """
    import cv2

    columns = math.ceil(math.sqrt(len(jpegs)))
    rows = math.ceil(len(jpegs) / columns)
    width_px, height_px = _TILE_PX
    sheet = np.zeros((rows * height_px, columns * width_px, 3), np.uint8)
    for i, jpeg in enumerate(jpegs):
        picture = simplejpeg.decode_jpeg(jpeg, colorspace="BGR")
        scale = min(width_px / picture.shape[1], height_px / picture.shape[0])
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        top, left = i // columns * height_px, i % columns * width_px
        sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


def _show(
    listed: list[Listed], names: dict[str, str], problems: list[str], written: dict[str, Path]
) -> None:
    console = Console(stderr=True)
    if listed:
        table = Table("#", "name", "camera", "address", "formats", box=None)
        for i, camera in enumerate(listed):
            offered = [
                f"{letters} {' '.join(f'{w}x{h}' for w, h in sizes[:3])}"
                for letters, sizes in camera.formats.items()
            ]
            card = f"{camera.card} ({camera.driver})"
            name = name_of(camera, names) or ""
            table.add_row(str(i), name, card, str(camera.stable), "\n".join(offered))
        console.print(table)
    else:
        console.print("no camera is plugged in (no /dev/video* answers as one)")
    for problem in problems:
        console.print(problem, markup=False)
    for camera_name, path in written.items():
        console.print(f"{camera_name}: {path}", markup=False, soft_wrap=True)
