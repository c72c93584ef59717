"""`cvsf hub`: the command that runs a hub.

It refuses before the first frame; it seals the session on SIGTERM, SIGINT or when its lifeline
closes.
"""

import logging
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cvsf.hub_config import HUB_FLAGS, HubConfig, load_hub_config, with_lenses
from cvsf.messages import MAX_VIEWS
from cvsf.session.reader import session_folder
from cvsf.session.recovery import recover_all
from cvsf.system.errors import Refusal
from cvsf.system.jsonl import print_json
from cvsf.system.log import relay
from cvsf.system.options import with_options
from cvsf.system.settings import data_folder
from cvsf.system.shutdown import stop_on_signal, stop_with_parent
from runtime.calibration.known_cameras import known_cameras, recorded_with
from runtime.telemetry.summary import summary

log = logging.getLogger(__name__)


@with_options(HubConfig, HUB_FLAGS)
def hub(
    *,
    cams: Annotated[
        int, typer.Option(min=0, help="Cameras that files played in step wait for.")
    ] = 0,
    config: Annotated[Path | None, typer.Option(help="TOML file with a table hub.")] = None,
    given: dict[str, Any],
    name: Annotated[str | None, typer.Option(help="A name for the run.")] = None,
    session: Annotated[
        Path | None, typer.Option(help="Folder to record to, or to continue.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of sessions, models and bundles.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    cameras: Annotated[
        Path | None,
        typer.Option(
            help="Known calibration: a session, or its cameras.json; no online calibration."
        ),
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="A JSON line a second, no table.")
    ] = False,
    anchor_ns: Annotated[int | None, typer.Option(help="Hub clock minus CLOCK_MONOTONIC.")] = None,
    ready_fd: Annotated[
        int | None, typer.Option(help="Gets a line once nodes may connect.")
    ] = None,
    lifeline: Annotated[bool, typer.Option("--lifeline", help="Stop when stdin closes.")] = False,
) -> None:
    """Run a hub; its last line of standard output under --headless is the final stats."""
    if cams > MAX_VIEWS:
        raise Refusal(
            f"--cams is {cams}: a hub takes at most {MAX_VIEWS} cameras; give {MAX_VIEWS} or fewer."
        )
    settings = load_hub_config(config, given)
    settings = with_lenses(settings, data_folder(data), recorded_with(cameras))
    known = known_cameras(cameras) if cameras else None
    from runtime.hub import Hub, load_networks  # after all refusals that need no networks

    folder = data_folder(data)
    session_path, stop = session or session_folder(folder, name), threading.Event()
    if lifeline:
        stop_with_parent(stop, relay)
    networks = load_networks(settings, folder, offline=offline)
    stop_on_signal(stop)  # before this, there is nothing to close
    hub_process = Hub(
        settings,
        session_path,
        networks,
        cams=cams,
        anchor_ns=anchor_ns if anchor_ns is not None else time.time_ns() - time.monotonic_ns(),
        known=known,
    )
    threading.excepthook = _end_with_thread
    threading.Thread(
        target=recover_all, args=(folder / "sessions",), name="recover", daemon=True
    ).start()
    if ready_fd is not None:
        with suppress(BrokenPipeError):  # the supervisor has ended; the lifeline ends this process
            os.write(ready_fd, b"\n")
        os.close(ready_fd)
    has_table = not headless and sys.stdout.isatty()
    final = hub_process.run(stop, headless=not has_table)
    if final.cameras and has_table:
        Console().print(summary(final))
    elif final.cameras:
        print_json(final.to_map())
    if lost := final.messages_lost:
        log.error("the disk did not take everything", extra={"messages_lost": lost})
        sys.exit(1)


def _end_with_thread(trouble: threading.ExceptHookArgs) -> None:
    """End the hub when a thread has failed, so that the supervisor restarts it."""
    name = trouble.thread.name if trouble.thread else "?"
    log.critical(
        "thread failed, the hub ends", extra={"thread_name": name}, exc_info=trouble.exc_value
    )
    os._exit(1)
