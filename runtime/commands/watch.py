"""`cvsf watch`: what the hub is doing, as one live table, JSON lines or a picture of its page."""

import json
from collections.abc import Mapping
from contextlib import closing, nullcontext
from itertools import chain
from pathlib import Path
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import typer

from cvsf.client import stats as follow_stats
from cvsf.system.errors import Refusal
from cvsf.system.processes import SKELETONS_PORT, WEB_PORT
from runtime.commands.headless_browser import Chromium
from runtime.stats import Stats
from runtime.telemetry.table import LiveTable

_SETTLE_S = 20.0
_PATIENCE_S = 5.0
"""Stats are due every second; a guess, not measured."""


def watch(
    hub: Annotated[str, typer.Option(help="Host of the hub.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of its live output.")] = SKELETONS_PORT,
    page_port: Annotated[int, typer.Option(help="Port of its page.")] = WEB_PORT,
    screenshot: Annotated[
        Path | None, typer.Option(help="Write the page as a PNG (needs chromium) and end.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a second.")] = False,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
) -> None:
    """Watch a running hub: a live table, JSON lines, or a picture of its page."""
    if screenshot is not None:
        write_screenshot(f"http://{hub}:{page_port}/", screenshot)
        if as_json:
            typer.echo(json.dumps({"screenshot": str(screenshot.resolve())}))
        return
    try:
        _follow(hub, port, as_json, seconds)
    except TimeoutError as error:
        raise Refusal(
            f"No hub answers at {hub}:{port} (no stats for {_patience_s(seconds):.0f} s); "
            "start one with cvsf-capture."
        ) from error
    except KeyboardInterrupt:
        pass  # how a table is left


def write_screenshot(
    address: str, path: Path, *, width_px: int = 1600, height_px: int = 1000
) -> None:
    """The page of a running hub, with a skeleton and a picture on it, as a PNG file."""
    if not path.absolute().parent.is_dir():
        raise Refusal(f"{path.parent} is no folder: name one that exists for {path.name}")
    try:
        with urlopen(f"{address}health", timeout=5):
            pass
    except HTTPError as error:
        error.close()  # a hub that is still starting answers 503, and is waited for below
    except (URLError, OSError) as error:
        raise Refusal(f"No page is served at {address} ({error}); is a hub running?") from error
    with closing(Chromium(width_px, height_px)) as browser:
        browser.open(address)
        ready = "cvsf.skeletons > 60 && cvsf.tiles.pictures > 8 && cvsf.recording !== null"
        try:
            browser.wait_for(ready, _SETTLE_S)
        except TimeoutError as error:
            raise Refusal(
                f"The page at {address} showed no skeleton and pictures in {_SETTLE_S:.0f} s."
            ) from error
        browser.screenshot(path)


def _follow(hub: str, port: int, as_json: bool, seconds: float | None) -> None:
    lines = follow_stats(hub, port, timeout_s=_patience_s(seconds))
    first = next(lines)
    with nullcontext() if as_json else LiveTable(stays=True) as table:
        for stats in chain([first], lines):
            if table is None:
                typer.echo(json.dumps(stats))
            else:
                table.show(Stats.model_validate(stats))
            if _is_over(first, stats, seconds):
                return


def _patience_s(seconds: float | None) -> float:
    return _PATIENCE_S if seconds is None else min(_PATIENCE_S, max(seconds, 1.0))


def _is_over(first: Mapping[str, Any], stats: Mapping[str, Any], seconds: float | None) -> bool:
    passed = float(stats.get("t_s", 0.0)) - float(first.get("t_s", 0.0))
    return bool(stats.get("final")) or (seconds is not None and passed >= seconds)
