"""`cvsf calibrate`: self-calibration of the cameras of recordings, with scores where there is
ground truth.

Calibration uses the 2D poses only; a session whose motion does not determine its cameras is
refused with a reason, and counts as a failure.
"""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from cvsf.calibration.metric_scale import SEGMENTS, Scale
from cvsf.diagnosis.calibrate_take import Moving
from cvsf.engine.engine import load_engine
from cvsf.multiview.camera_toml import cameras_to_caliscope, cameras_to_toml
from cvsf.multiview.known_lenses import read_intrinsics
from cvsf.session.calibrations import CAMERAS
from cvsf.session.reader import MANIFEST
from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal
from train.data.calibration_input import (
    CalibrationInput,
    calibration_inputs,
    ignored_seconds,
    read_observations,
)
from train.data.instants import Recordings
from train.data.read import choice
from train.evaluation.calibrate_and_score import (
    MOVING,
    CalibrationOptions,
    CalibrationResult,
    calibrate_and_score,
)
from train.evaluation.calibration_errors_table import show_rig, show_summary
from train.evaluation.calibration_summary import summary
from train.progress import with_progress
from train.rig_pictures.movie_file import check_movie

_TOML = {".toml": cameras_to_toml, ".caliscope.toml": cameras_to_caliscope}
_LEAST_M, _MOST_M = 0.5, 2.6  # a stature


def calibrate(
    file: Annotated[Path, typer.Argument(help="multi-view .npz file, session folder, or clip")],
    subjects: Annotated[str, typer.Option(help="only these, separated by commas")] = "",
    not_subjects: Annotated[str, typer.Option(help="all but these")] = "",
    views: Annotated[
        int | None, typer.Option(help="use only so many cameras, the first ones")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="use only so many seconds, the first of each session")
    ] = inf,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            help="seconds of a camera to leave out of every session, CAMERA=FROM-TO; may repeat"
        ),
    ] = None,
    height: Annotated[
        float | None, typer.Option(help="the (first) athlete's stature in metres")
    ] = None,
    bone: Annotated[
        str, typer.Option(help=f"a known bone, NAME=METRES; {', '.join(SEGMENTS)}")
    ] = "",
    distance: Annotated[
        str, typer.Option(help="a known distance of two cameras, CAM,CAM=METRES")
    ] = "",
    offsets: Annotated[
        bool | None,
        typer.Option(
            "--offsets/--no-offsets",
            help="estimate each camera's delay always, or never; default: only if still cameras "
            "do not fit without delays",
        ),
    ] = None,
    intrinsics: Annotated[
        Path | None,
        typer.Option(help="TOML of Pose2Sim, anipose or Caliscope: the lenses that are known"),
    ] = None,
    distortion: Annotated[
        bool | None,
        typer.Option(
            "--distortion/--no-distortion",
            help="estimate distortion and principal point of each lens always, or never; default: "
            "where the recording determines them",
        ),
    ] = None,
    moving: Annotated[str, typer.Option(help="whether cameras pan: still, auto, panning")] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder for cameras (.json, .toml, .caliscope.toml) and skeletons of every session"
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="draw the rig of the worst session and each camera's best and worst picture (.png)"
        ),
    ] = None,
    movie: Annotated[
        Path | None,
        typer.Option(
            help="film the rig of the worst session, at most the middle 20 s: .mp4 (H.264, which "
            "browsers play; needs av: pip install '.[rtsp]') or .gif"
        ),
    ] = None,
    engine: Annotated[
        Path | None, typer.Option(help="folder of a compiled lifter; default: the shipped one")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Find the cameras of a multi-view file, a session or a clip, from the athlete alone.

    Exit code 1 if no session could be calibrated; with `--json` it is 0, and `refused` has the
    reasons.
    """
    if moving not in MOVING:
        raise Refusal(f"--moving is {moving!r}, expected one of {', '.join(MOVING)}")
    if moving == "panning" and offsets:
        raise Refusal("--offsets is for still cameras; leave out --offsets or --moving panning")
    if moving == "panning" and distortion:
        raise Refusal("--distortion is for still cameras; leave it out, or --moving panning")
    if not seconds > 0:
        raise Refusal(f"--seconds is {seconds}, expected more than 0")
    _check_drawings(picture, movie)
    observations = read_observations(file, choice(subjects, not_subjects))
    names = _names(observations, views)
    options = CalibrationOptions(
        scale=_scale(height, bone, distance, names),
        offsets=offsets,
        distortion=distortion,
        moving=cast(Moving, moving),
    )
    loaded = load_engine(engine)
    outcomes, worst = [], None
    ignored = ignored_seconds(ignore or (), names)
    known = None
    if intrinsics is not None:
        known = read_intrinsics(intrinsics, names, observations.size_px)
    inputs = calibration_inputs(observations, loaded, len(names), seconds, ignored, known)
    for outcome, session in _results(inputs, options, len(observations.sessions)):
        _write(outcome, file, out)
        outcomes.append(replace(outcome, observations=None))  # of many sessions they are large
        if worst is None or outcome.badness > worst[0].badness:
            worst = outcome, session
    if worst is not None:
        _draw(*worst, file, picture, movie)
    facts = summary(outcomes) | {"engine": loaded.id, "views": len(names)}
    if as_json:
        typer.echo(json.dumps(facts))
        return
    if len(outcomes) == 1:
        show_rig(outcomes[0])
    show_summary(facts)
    if all(outcome.calibration is None for outcome in outcomes):
        raise typer.Exit(1)


def _results(
    sessions: Iterator[CalibrationInput], options: CalibrationOptions, count: int
) -> Iterator[tuple[CalibrationResult, CalibrationInput]]:
    """Each session and its result, with the progress on standard error."""
    for session in with_progress(sessions, "sessions", count):
        yield calibrate_and_score(session, options), session


def _names(observations: Recordings, views: int | None) -> tuple[str, ...]:
    """The cameras that are used; Refusal if there are fewer than two."""
    cameras = observations.cameras
    wanted = len(cameras) if views is None else views
    if len(cameras) < 2:
        raise Refusal(f"it has {len(cameras)} view, expected 2 or more; add another camera")
    if not 2 <= wanted <= len(cameras):
        raise Refusal(f"--views is {wanted}, expected 2 to {len(cameras)}, the number of cameras")
    return cameras[:wanted]


def _scale(height: float | None, bone: str, distance: str, names: tuple[str, ...]) -> Scale:
    """The known length in metres; Refusal if it is impossible."""
    if sum((height is not None, bool(bone), bool(distance))) > 1:
        raise Refusal("--height, --bone and --distance exclude each other; give one of them")
    try:
        if bone:
            name, metres = _measured("--bone", bone, "NAME=METRES")
            if name not in SEGMENTS:
                raise Refusal(f"--bone is of {name!r}, expected one of {', '.join(SEGMENTS)}")
            return Scale(bone=(name, metres))
        if distance:
            pair, metres = _measured("--distance", distance, "CAM,CAM=METRES")
            ends = [name.strip() for name in pair.split(",")]
            if len(ends) != 2 or len(set(ends) & set(names)) != 2:
                raise Refusal(f"--distance is between {pair!r}, expected two of {', '.join(names)}")
            return Scale(cameras=(ends[0], ends[1], metres))
        if height is not None and not _LEAST_M <= height <= _MOST_M:
            raise Refusal(f"--height is {height} m, expected {_LEAST_M} to {_MOST_M}")
        return Scale(height_m=height)
    except ValueError as error:
        raise Refusal(f"{error}; give metres above 0") from None


def _measured(option: str, text: str, expected: str) -> tuple[str, float]:
    name, _, metres = text.partition("=")
    try:
        return name.strip(), float(metres)
    except ValueError:
        raise Refusal(f"{option} is {text!r}, expected {expected}") from None


def _write(outcome: CalibrationResult, file: Path, out: Path | None) -> None:
    """Write the cameras into the session's folder, or cameras and skeletons into `out`."""
    if outcome.calibration is None:
        return
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            outcome.write_skeletons(out / f"{_stem(outcome)}.npz")
        elif not (file / MANIFEST).is_file():
            return
        path = file / CAMERAS if out is None else out / f"{_stem(outcome)}.json"
        replace_file(Storage(), path, json.dumps(_camera_facts(outcome, path), indent=1).encode())
        for suffix, to_text in _TOML.items() if out is not None else ():
            if outcome.calibration.rig.is_panning:
                path.with_suffix(suffix).unlink(missing_ok=True)  # of an earlier run
                continue
            text = to_text(outcome.calibration, outcome.mirrored_back)
            replace_file(Storage(), path.with_suffix(suffix), text.encode())
    except OSError as error:
        raise Refusal(
            f"cannot write {error.filename}: {error.strerror}; name another --out"
        ) from None


def _stem(outcome: CalibrationResult) -> str:
    return outcome.name.replace(":", "-")


def _check_drawings(picture: Path | None, movie: Path | None) -> None:
    """Refuse a --picture or --movie that cannot be written, before anything is computed."""
    for option, path in (("--picture", picture), ("--movie", movie)):
        if path is not None and importlib.util.find_spec("matplotlib") is None:
            raise Refusal(
                f"{option} needs matplotlib, which is not installed; run: pip install '.[train]'"
            )
    if movie is not None:
        check_movie(movie)
    if picture is not None and (picture.suffix != ".png" or picture.is_dir()):
        raise Refusal(f"--picture is {picture}, expected the name of a .png file")
    if picture is not None and not picture.parent.is_dir():
        raise Refusal(f"--picture is in {picture.parent}, which is not a folder; create it first")


def _camera_facts(outcome: CalibrationResult, path: Path) -> dict[str, Any]:
    """The content of `cameras.json`; a calibration of a hub keeps its number and time."""
    plain = outcome.plain()
    try:
        previous = json.loads(path.read_text())
        recorded = {name: previous[name] for name in ("number", "t_ns") if name in previous}
    except (OSError, ValueError, TypeError):
        recorded = {}
    return plain | recorded


def _draw(
    outcome: CalibrationResult,
    session: CalibrationInput,
    file: Path,
    picture: Path | None,
    movie: Path | None,
) -> None:
    """Draw what is asked for; Refusal if there is no rig."""
    if picture is None and movie is None:
        return
    if outcome.calibration is None:
        raise Refusal(f"there is no rig to draw: no session was calibrated ({outcome.refused})")
    # matplotlib is not a base dependency
    if picture is not None:
        from train.rig_pictures.calibration_figure import draw

        draw(outcome, session, file, picture)
    if movie is not None:
        from train.rig_pictures.rig_movie import film

        film(outcome, movie)
