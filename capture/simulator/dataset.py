"""`cvsf simulate`: pictures of many slopes with ground truth, to train and test detectors.

Every seed is one folder, and the same seed gives the same folder.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import simplejpeg
import typer

from capture.simulator.ground_truth import view_arrays, write_multiview
from capture.simulator.limits import USUAL_SIZE, drawable
from capture.simulator.renderer import Painter
from capture.simulator.scene import make_slope, place_camera
from capture.simulator.shots import film, set_stage
from capture.sources.source import parse_size
from cvsf.system.errors import Refusal

_SPREAD = 0.6
"""`spread` of `place_camera`: more variety than on the live slope; a guess, not measured."""


def simulate(
    out: Annotated[Path | None, typer.Option(help="Folder for the pictures.")] = None,
    seeds: Annotated[str, typer.Option(help="Slopes A to B - 1, as A:B.")] = "0:1",
    cams: Annotated[int, typer.Option(help="Cameras around each slope.")] = 4,
    frames: Annotated[int, typer.Option(help="Moments of each slope.")] = 12,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels, else 640x480.")] = None,
    moving: Annotated[bool, typer.Option("--moving", help="Cameras that pan and zoom.")] = False,
    workers: Annotated[int, typer.Option(help="Processes at work.")] = 1,
    contact_sheet: Annotated[
        Path | None,
        typer.Option(help="Write one PNG with four cameras of the first seeds instead."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Render slopes to JPEG with their truth, one folder a seed."""
    numbers, pixels = _seeds(seeds), drawable(parse_size(size) or USUAL_SIZE)
    if contact_sheet:
        _write_sheet(contact_sheet, numbers, moving, pixels)
        done = {"contact_sheet": str(contact_sheet)}
    elif out is None:
        raise Refusal("nowhere to write: give --out DIR or --contact-sheet FILE.png.")
    else:
        out.mkdir(parents=True, exist_ok=True)
        work = partial(render_seed, out, cams=cams, frames=frames, size=pixels, moving=moving)
        count = sum(1 for _ in _shared(work, numbers, workers))
        done = {"out": str(out), "seeds": str(count), "pictures": str(count * cams * frames)}
    typer.echo(json.dumps(done) if as_json else " ".join(f"{k} {v}" for k, v in done.items()))


def render_seed(
    out: Path, seed: int, *, cams: int, frames: int, size: tuple[int, int], moving: bool
) -> None:
    """Write the folder OUT/seed-NNNNNN: cam0-00000.jpg and so on, truth.npz last, as the sign of a
    complete folder. Times are random, the same for all cameras. `size` is (width, height) in px.
    Files of an earlier run are replaced, others stay; OSError if `out` does not exist. OpenCV is
    set to one thread.
    """
    cv2.setNumThreads(1)
    folder = out / f"seed-{seed:06d}"
    folder.mkdir(exist_ok=True)
    slope = make_slope(seed, moving)
    stage = set_stage(seed, slope)
    rng = np.random.default_rng([seed, 9])
    stamps = np.sort(rng.integers(1, slope.course.period_ns, frames))
    views = []
    for index in range(cams):
        view = place_camera(slope, index, size, _SPREAD)
        shots = film(stage, view, stamps)
        painter = Painter(stage, view, index)
        for i, shot in enumerate(shots):
            quality = int(rng.integers(70, 95))
            jpeg = simplejpeg.encode_jpeg(painter.paint(shot), quality, "BGR", "420")
            (folder / f"cam{index}-{i:05d}.jpg").write_bytes(jpeg)
        joints = np.stack([shot.joints for shot in shots])
        rotation = np.stack([shot.rotation for shot in shots])
        focal = np.array([shot.focal_px for shot in shots])
        views.append(view_arrays(view, joints, rotation, focal, stamps))
    about = {"seed": seed, "width_px": size[0], "height_px": size[1]}
    write_multiview(folder / "truth.npz", stamps, views, about)


def _shared(work: "partial[None]", seeds: range, workers: int) -> Iterator[None]:
    """The work on every seed, in this process or in several."""
    if workers == 1:
        yield from map(work, seeds)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, seeds, chunksize=4)


def _write_sheet(path: Path, seeds: range, moving: bool, size: tuple[int, int]) -> None:
    """A row for each of the first three seeds: one moment from four cameras, at half size."""
    cv2.setNumThreads(1)
    rows = []
    for seed in seeds[:3]:
        slope = make_slope(seed, moving)
        stage = set_stage(seed, slope)
        moment = int(np.random.default_rng([seed, 9]).integers(1, slope.course.period_ns))
        pictures = []
        for index in range(4):
            view = place_camera(slope, index, size)
            shot = film(stage, view, np.array([moment], np.int64))[0]
            pictures.append(Painter(stage, view, index).paint(shot))
        rows.append(np.hstack(pictures))
    sheet = cv2.resize(np.vstack(rows), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    if not cv2.imwrite(str(path), sheet):
        raise Refusal(f"{path} could not be written: expected a .png in a folder that exists.")


def _seeds(text: str) -> range:
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise Refusal(f"--seeds is {text!r}: expected A:B with A < B, such as 0:100.")
    return range(int(first), int(last))
