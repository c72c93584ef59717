"""`cvsf-capture`: one node per camera and, without `--hub`, a hub; they end with this process.

Invalid input is refused here or by the hub before the first frame.
"""

import importlib.metadata
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from capture.config import CaptureConfig
from capture.open_source import SourceSpec, find_sources
from capture.simulator.limits import check
from capture.sources.source import SourceConfig, parse_size
from capture.supervisor import Child, share_terminal, supervise
from cvsf.hub_config import HUB_FLAGS, HubConfig, load_hub_config, with_lenses
from cvsf.multiview.known_lenses import Lens, lens_of, read_lenses
from cvsf.session.calibrations import recorded_lenses
from cvsf.session.reader import read_manifest, session_folder
from cvsf.system.errors import Refusal
from cvsf.system.jsonl import print_json
from cvsf.system.options import with_options
from cvsf.system.processes import FRAMES_PORT, command
from cvsf.system.settings import data_folder, load_table
from cvsf.wire import parse_host

_BUILT_FOR = {"sim": "sim-skier"}
"""Sources whose 2D bundle comes with the package; any other source takes the hub's default."""


_CAMERAS = ("v4l2", "rtsp", "rtsps")
"""Sources to which the lenses belong that `cvsf cameras` keeps."""


def _bundle_for(specs: Sequence[SourceSpec], detector: str | None) -> str | None:
    """The 2D bundle that fits the source, where the user named none."""
    scheme, _, rest = specs[0].uri.partition(":")
    if detector is None and scheme == "session":
        used = read_manifest(Path(rest.partition("?")[0])).detectors
        return used[-1].rpartition("-")[0] if used else None
    return detector or _BUILT_FOR.get(scheme)


def _print_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"cvsf-capture {importlib.metadata.version('cvsf')}")
        raise typer.Exit
    return asked


@with_options(HubConfig, HUB_FLAGS)
def capture(
    *,
    cams: Annotated[int, typer.Option(help="How many cameras.")],
    source: Annotated[
        str | None,
        typer.Option(help="0,1,2,3 · /dev/video0,... · rtsp://... · 'cam*.mp4' · a session · sim"),
    ] = None,
    hub: Annotated[str | None, typer.Option(help="HOST of a hub that runs already.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file, tables capture and hub.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    duration: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    fps: Annotated[float | None, typer.Option(help="Pictures a second.")] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated slope, from 0.")] = 0,
    truth: Annotated[
        Path | None, typer.Option(help="Where the simulator writes what happened.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play files at their own rate.")
    ] = False,
    headless: Annotated[
        bool, typer.Option("--headless", help="A JSON line a second, no table.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder of sessions, models, bundles.")] = None,
    names: Annotated[str | None, typer.Option(help="Camera names, comma between.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    given: dict[str, Any],
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Cameras in, one live 3D skeleton out."""
    load_table(config, "capture", CaptureConfig)
    asked = SourceConfig(size=parse_size(size), fps=fps, seed=seed, truth=truth)
    _check_above_0("--duration", duration, "seconds")
    _check_above_0("--fps", fps, "pictures a second")
    if hub is not None:
        parse_host(hub, FRAMES_PORT)
    folder = data_folder(data)
    specs = find_sources(source, cams, names.split(",") if names else (), data=folder)
    if specs[0].uri.startswith("sim:"):
        check(asked)
    elif truth:
        raise Refusal("--truth is for simulated cameras only; leave it out")
    session, own_hub = session_folder(folder, name), None
    if hub is None:
        settings = load_hub_config(config, given)
        detector = _bundle_for(specs, settings.detector)
        settings = settings.model_copy(update={"detector": detector})
        settings = _with_lenses(settings, folder, specs)
        hub = f"127.0.0.1:{settings.frames_port}"
        settings_file = _in_memory(settings)
        for_hub: dict[str, object] = {
            "--config": f"/dev/fd/{settings_file}",
            "--cams": cams,
            "--session": session,
            "--data": folder,
            "--offline": offline,
            "--cameras": _recorded(specs),
            "--headless": headless,
            "--anchor-ns": time.time_ns() - time.monotonic_ns(),
            "--lifeline": True,
        }
        own_hub = Child("hub", _words("hub", for_hub), inherits=(settings_file,))
    for_nodes: dict[str, object] = {
        "--config": config and config.absolute(),
        "--lifeline": True,
        "--hub": hub,
        "--size": size,
        "--fps": fps,
        "--seed": seed,
        "--truth": truth and truth.absolute(),
        "--realtime": realtime,
    }
    epoch_ns = time.time_ns()
    nodes = [
        Child(s.camera, _words("node", for_nodes | _camera(s, epoch_ns)), reports=True)
        for s in specs
    ]
    if own_hub and not headless and sys.stdout.isatty() and sys.stderr.isatty():
        share_terminal(own_hub, nodes)
    code = supervise(own_hub, nodes, duration)
    if truth and code == 0:
        _gather_truth(truth.absolute(), specs)
    if own_hub is None:
        accounts = {child.name: child.account for child in nodes}
        if headless or not sys.stdout.isatty():
            print_json({"final": True, "session": None, "cameras": accounts})
        else:
            _print_summary(accounts)
    sys.exit(code)


def _in_memory(settings: HubConfig) -> int:
    """The descriptor of an unnamed file with the complete, checked `[hub]` table.

    Only processes of this user can open it; each start of the hub reads it again. It is removed
    when the last of them ends, in any case.
    """
    descriptor = os.memfd_create("hub-config")
    os.write(descriptor, json.dumps({"hub": settings.model_dump()}).encode())
    return descriptor


def _print_summary(accounts: Mapping[str, Mapping[str, Any]]) -> None:
    for camera, account in accounts.items():
        counts = f"{account.get('exposed', 0)} exposed, {account.get('acknowledged', 0)} at the hub"
        lost = sum(account.get("dropped", {}).values())
        typer.echo(f"{camera}: {counts}, {lost} dropped")


def _recorded(specs: Sequence[SourceSpec]) -> str | None:
    """The replayed session, which contains the calibrations of its cameras."""
    scheme, _, rest = specs[0].uri.partition(":")
    return rest.partition("?")[0] if scheme == "session" else None


def _with_lenses(settings: HubConfig, data: Path, specs: Sequence[SourceSpec]) -> HubConfig:
    """The settings with the lenses that are known: for a replayed session those that were, for
    cameras also those that are kept. Refusal if --intrinsics has none of the cameras.
    """
    session, scheme = _recorded(specs), specs[0].uri.partition(":")[0]
    recorded: dict[str, Lens] | None = None if scheme in _CAMERAS else {}
    if session:
        recorded = recorded_lenses(read_manifest(Path(session)))
    if settings.intrinsics is not None:
        given = read_lenses(Path(settings.intrinsics))
        if not any(lens_of(spec.camera, given) for spec in specs):
            raise Refusal(
                f"--intrinsics {settings.intrinsics} has the cameras {', '.join(given)}, expected"
                f" one of {', '.join(spec.camera for spec in specs)}: rename them."
            )
    return with_lenses(settings, data, recorded)


def _check_above_0(option: str, value: float | None, unit: str) -> None:
    if value is not None and not 0 < value < math.inf:
        raise Refusal(f"{option} is {value:g}, expected {unit} above 0")


def _camera(spec: SourceSpec, epoch_ns: int) -> dict[str, object]:
    """The options of one camera's node; a session's frames keep their recorded times."""
    is_recorded = spec.uri.startswith("session:")
    return {
        "--camera": spec.camera,
        "--uri": spec.uri,
        "--epoch-ns": 0 if is_recorded else epoch_ns,
    }


def _words(name: str, given: Mapping[str, object]) -> list[str]:
    words = command(name)
    for option, value in given.items():
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _gather_truth(truth: Path, specs: Sequence[SourceSpec]) -> None:
    """Merge the ground truth of the simulated cameras into one file."""
    from capture.simulator.ground_truth import merge_truth
    from capture.simulator.scenario import read_address

    indices = [read_address(spec.uri).index for spec in specs]
    merge_truth([truth.with_name(f"{truth.stem}.{index}.npz") for index in indices], truth)
