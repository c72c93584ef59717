"""`cvsf sessions`: what has been recorded, as a list or one session in full.

It only reads; `--recover` seals what a killed hub left open.
"""

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cvsf.session.calibrations import calibrations, to_event
from cvsf.session.reader import (
    MANIFEST,
    Manifest,
    SegmentRecord,
    SessionReader,
    file_sha256,
    read_manifest,
)
from cvsf.session.recovery import recover, recover_all
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder
from runtime.commands.calibration_table import calibrations_table

log = logging.getLogger(__name__)

_WIDTH = 80  # of a terminal that every column must fit into


def sessions(
    session: Annotated[
        Path | None, typer.Argument(help="A session's folder, or its name: show this one.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file, compare hashes.")
    ] = False,
    recover_: Annotated[
        bool, typer.Option("--recover", help="Seal what a killed hub left open.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List recorded sessions, or show one."""
    folder = data_folder(data) / "sessions"
    if session is not None:
        _show(_find(session, folder), verify=verify, recover_=recover_, json_=json_)
        return
    if recover_:
        recover_all(folder)
    found = [entry for path in _folders(folder) if (entry := _entry(path, verify=verify))]
    found.sort(key=lambda entry: (str(entry["started"]), str(entry["path"])))
    if json_:
        typer.echo(json.dumps({"sessions": found}))
    elif found:
        _console().print(_table(found))
    else:
        typer.echo(f"No sessions in {folder}.")
    _end_if_damaged(found)


def _show(folder: Path, *, verify: bool, recover_: bool, json_: bool) -> None:
    manifest = read_manifest(folder)
    if recover_ and not manifest.sealed:
        manifest = recover(folder)
    entry = _describe(folder, manifest, verify=verify)
    found = list(calibrations(SessionReader(folder))) if manifest.sealed else []
    if json_:
        manifest_map = manifest.model_dump(mode="json", by_alias=True)
        calibrated = [to_event(update) for update in found]
        facts = {"sessions": [entry], "manifest": manifest_map, "calibrations": calibrated}
        typer.echo(json.dumps(facts))
    else:
        console = _console()
        console.print(_facts(entry, manifest))
        console.print(_cameras(manifest))
        if found:
            console.print(calibrations_table(found, manifest))
        console.print(_segments(manifest, entry["damaged"]))
    _end_if_damaged([entry])


def _end_if_damaged(entries: list[dict[str, Any]]) -> None:
    """Report damage to scripts, by the exit code."""
    if any(entry["verified"] is False for entry in entries):
        raise typer.Exit(1)


def _folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def _find(session: Path, folder: Path) -> Path:
    """The session's folder from a path, its name or its run's name; of several the latest."""
    if session.name == MANIFEST:
        return session.parent
    if session.is_dir():
        return session
    named = [path for path in _folders(folder) if str(session) in (path.name, _run_name(path.name))]
    return named[-1] if named else session


def _run_name(name: str) -> str:
    """The name of a session's folder without its start time."""
    return name[len("2026-11-22T14-03-11Z-") :]


def _entry(folder: Path, *, verify: bool) -> dict[str, Any] | None:
    try:
        return _describe(folder, read_manifest(folder), verify=verify)
    except Refusal as refusal:
        log.warning("session left out", extra={"reason": str(refusal)})
        return None


def _describe(folder: Path, manifest: Manifest, *, verify: bool) -> dict[str, Any]:
    damaged = _damaged(folder, manifest) if verify else []
    return {
        "path": str(folder.resolve()),
        "name": manifest.name,
        "started": manifest.started,
        "duration_s": round(manifest.duration_s, 3),
        "cameras": sorted(manifest.cameras),
        "instants": manifest.instants,
        "frames": manifest.frames,
        "bytes": sum(segment.bytes for segment in manifest.segments),
        "recording": manifest.recording,
        "sealed": manifest.sealed,
        "recovered": sum(segment.recovered for segment in manifest.segments),
        "verified": not damaged if verify else None,
        "damaged": damaged,
    }


def _damaged(folder: Path, manifest: Manifest) -> list[str]:
    """The files whose bytes are not those that were sealed."""
    if manifest.sealed:
        return [file for file, whole in SessionReader(folder).verify().items() if not whole]
    sealed = [segment for segment in manifest.segments if segment.sealed]
    return [s.file for s in sealed if file_sha256(folder / s.file) != s.sha256]


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=max(_WIDTH, console.width))


def _table(entries: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("session", overflow="fold")
    for title in ("time", "cams", "instants", "frames", "size"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("sealed", no_wrap=True)
    table.add_column("verified", no_wrap=True)
    for entry in entries:
        table.add_row(
            Path(str(entry["path"])).name,
            _duration(entry["duration_s"]),
            str(len(entry["cameras"])),
            str(entry["instants"]),
            str(entry["frames"]),
            _size(entry["bytes"]),
            "yes" if entry["sealed"] else "NO",
            _yes_or_no(entry["verified"]),
        )
    return table


def _facts(entry: dict[str, Any], manifest: Manifest) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    started = manifest.started
    rows = {
        "session": entry["path"],
        "started": f"{started}, {_duration(entry['duration_s'])} long",
        "recorded": f"{manifest.recording}, {_size(entry['bytes'])}",
        "instants": str(entry["instants"]),
        "joint set": manifest.joint_set or "-",
        "2D": ", ".join(manifest.detectors) or "-",
        "engines": ", ".join(manifest.engines) or "-",
        "sealed": "yes" if entry["sealed"] else "NO",
        "verified": _yes_or_no(entry["verified"]),
    }
    for name, text in rows.items():
        table.add_row(name, str(text))
    return table


def _cameras(manifest: Manifest) -> Table:
    table = Table(box=None, pad_edge=False, title="cameras", title_justify="left")
    for title in ("camera", "size", "frames", "missing", "gaps", "stamp", "worst clock error"):
        table.add_column(title, justify="left" if title == "camera" else "right")
    for camera, record in manifest.cameras.items():
        ranges = [found for s in manifest.segments for found in s.ranges.get(camera, [])]
        syncs = [s.sync[camera] for s in manifest.segments if camera in s.sync]
        worst_ns = max((sync.worst_uncertainty_ns for sync in syncs), default=0)
        table.add_row(
            camera,
            f"{record.width_px}x{record.height_px}",
            str(sum(found.frames for found in ranges)),
            str(sum(found.missing for found in ranges)),
            str(sum(len(found.gaps) for found in ranges)),
            "/".join(sorted({sync.stamp for sync in syncs})),
            f"{worst_ns / 1e6:.3f} ms",
        )
    return table


def _segments(manifest: Manifest, damaged: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, title="segments", title_justify="left")
    for title in ("file", "size", "time", "messages", "ended", "lost", "sha256"):
        table.add_column(title, justify="right" if title in ("size", "messages") else "left")
    for segment in manifest.segments:
        table.add_row(
            segment.file,
            _size(segment.bytes),
            _span(segment),
            str(sum(segment.counts.values())),
            segment.ended + (" (recovered)" if segment.recovered else ""),
            f"{segment.lost.bytes} B" if segment.lost else "-",
            "DAMAGED" if segment.file in damaged else (segment.sha256 or "-")[:12],
        )
    return table


def _span(segment: SegmentRecord) -> str:
    if segment.first_ns is None or segment.last_ns is None:
        return "-"
    return _duration((segment.last_ns - segment.first_ns) / 1e9)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _yes_or_no(verified: bool | None) -> str:
    return "-" if verified is None else ("yes" if verified else "NO")
