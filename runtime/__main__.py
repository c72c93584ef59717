"""The hub's door: `cvsf hub`.

Refuses with a sentence before the first frame, seals everything on SIGTERM, SIGINT or when its
lifeline closes.
"""

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cvsf.session.reader import session_folder
from cvsf.session.recovery import recover_all
from cvsf.system.jsonl import print_json
from cvsf.system.log import relay
from cvsf.system.settings import data_folder, load_table
from cvsf.system.shutdown import stop_on_signal, stop_with_starter
from cvsf.wire import require_loopback
from runtime.calibration.known_cameras import known_cameras
from runtime.calibration.metric_scale import measures
from runtime.config import HubConfig
from runtime.telemetry.summary import summary

log = logging.getLogger(__name__)


def hub(
    cams: Annotated[
        int, typer.Option(min=0, help="Cameras that files played in step wait for.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="TOML file with a table hub.")] = None,
    detector: Annotated[str | None, typer.Option(help="2D bundle: its name or its folder.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="auto, onnxruntime or tensorrt: what runs the lifter.")
    ] = None,
    record: Annotated[str | None, typer.Option(help="frames, poses or none.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    session: Annotated[
        Path | None, typer.Option(help="Folder to record to, or to continue.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of sessions, models and bundles.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    frames_port: Annotated[int | None, typer.Option(help="Where nodes connect.")] = None,
    skeletons_port: Annotated[
        int | None, typer.Option(help="Where ZeroMQ clients connect.")
    ] = None,
    web_port: Annotated[int | None, typer.Option(help="The page and WebSocket clients.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    height: Annotated[
        float | None, typer.Option(help="The athlete's stature in metres, which makes the metre.")
    ] = None,
    bone: Annotated[str | None, typer.Option(help="Or a bone's length: thigh=0.45.")] = None,
    distance: Annotated[
        str | None, typer.Option(help="Or how far apart two cameras stand: cam0,cam2=7.5.")
    ] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            help="Cameras known already: a session, or its cameras.json; none are sought."
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="A JSON line a second, no table.")
    ] = False,
    anchor_ns: Annotated[int | None, typer.Option(help="Hub clock minus CLOCK_MONOTONIC.")] = None,
    ready_fd: Annotated[int | None, typer.Option(help="Told once nodes may connect.")] = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", help="Stop when stdin closes.")] = False,
) -> None:
    """Run a hub; its last line of standard output under --headless is the final account."""
    given = {
        "detector": detector,
        "engine": engine,
        "record": record,
        "host": host,
        "frames_port": frames_port,
        "skeletons_port": skeletons_port,
        "web_port": web_port,
        "height_m": height,
        "bone": bone,
        "camera_distance": distance,
    }
    asked = {key: value for key, value in given.items() if value is not None}
    settings = load_table(config, "hub", HubConfig, asked)
    require_loopback(settings.host, "the hub")
    measures(settings)
    known = known_cameras(cameras) if cameras else None
    from runtime.hub import Hub  # with its networks, once nothing cheap is left to refuse

    folder = data_folder(data)
    place, stop = session or session_folder(folder, name), threading.Event()
    if lifeline:
        stop_with_starter(stop, relay)
    story = Hub(
        settings,
        folder,
        cams=cams,
        offline=offline,
        anchor_ns=anchor_ns if anchor_ns is not None else time.time_ns() - time.monotonic_ns(),
        known=known,
    )
    stop_on_signal(stop)  # until here there is nothing to end well
    story.record_into(place)
    threading.excepthook = _end_with_thread
    threading.Thread(
        target=recover_all, args=(folder / "sessions",), name="recover", daemon=True
    ).start()
    if ready_fd is not None:
        with suppress(BrokenPipeError):  # whoever asked has died since; the lifeline says so too
            os.write(ready_fd, b"\n")
        os.close(ready_fd)
    has_table = not headless and sys.stdout.isatty()
    final = story.run(stop, headless=not has_table)
    if final.cameras and has_table:
        Console().print(summary(final))
    elif final.cameras:
        print_json(final.to_map())
    if lost := final.messages_lost:
        log.error("the disk did not take everything", extra={"messages_lost": lost})
        sys.exit(1)


def _end_with_thread(trouble: threading.ExceptHookArgs) -> None:
    """End: a hub that lost a thread is worse than none, and its starter restarts it."""
    name = trouble.thread.name if trouble.thread else "?"
    log.critical(
        "thread failed, the hub ends", extra={"thread_name": name}, exc_info=trouble.exc_value
    )
    os._exit(1)
