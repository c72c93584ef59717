"""What the hub is doing, as one live table: cameras, stages, instants, disk, engine.

It stays readable at 80 columns, and shows only what the hub itself says.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cvsf.client import stats as follow_stats
from cvsf.refusal import Refusal
from cvsf.wire import SKELETONS_PORT, WEB_PORT
from runtime.chromium import Chromium
from runtime.rig_table import world_sentence

_SETTLE_S = 20.0
_PATIENCE_S = 5.0  # a hub speaks every second
_UNKNOWN = "-"


def stats_table(stats: Mapping[str, Any]) -> RenderableType:
    """The figures of one second, readable at 80 columns."""
    title = Text.assemble(
        ("cvsf ", "bold"), Path(str(stats.get("session") or "not recorded")).name, style="default"
    )
    return Panel(
        Group(
            _headline(stats), Text(), _cameras(stats), Text(), _stages(stats), Text(), _foot(stats)
        ),
        title=title,
        title_align="left",
        border_style="red" if stats.get("recording") else "dim",
        padding=(0, 1),
    )


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
            f"No hub speaks at {hub}:{port} (nothing heard for {_patience_s(seconds):.0f} s); "
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
    if as_json:
        typer.echo(json.dumps(first))
        for stats in lines:
            typer.echo(json.dumps(stats))
            if _is_over(first, stats, seconds):
                return
        return
    with Live(stats_table(first), console=Console(stderr=False), auto_refresh=False) as live:
        for stats in lines:
            live.update(stats_table(stats), refresh=True)
            if _is_over(first, stats, seconds):
                return


def _patience_s(seconds: float | None) -> float:
    return _PATIENCE_S if seconds is None else min(_PATIENCE_S, max(seconds, 1.0))


def _is_over(first: Mapping[str, Any], stats: Mapping[str, Any], seconds: float | None) -> bool:
    passed = float(stats.get("t_s", 0.0)) - float(first.get("t_s", 0.0))
    return bool(stats.get("final")) or (seconds is not None and passed >= seconds)


def _headline(stats: Mapping[str, Any]) -> RenderableType:
    instants, full = stats.get("instants", 0), stats.get("instants_full", 0)
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, ratio=1, justify="center")
    grid.add_column(no_wrap=True, justify="right")
    partial = stats.get("instants_partial_per_s") or 0
    recording = stats.get("recording")
    grid.add_row(
        Text.assemble((_number(stats.get("instants_per_s"), 1), "bold green"), " instants/s"),
        Text.assemble(
            (f"{100 * full / instants:.1f} %" if instants else _UNKNOWN, "bold"),
            " full, ",
            (_number(partial, 1), "yellow" if partial else "default"),
            " partial/s",
        ),
        Text("● recording", "bold red") if recording else Text("not recording", "dim"),
    )
    return grid


def _cameras(stats: Mapping[str, Any]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("camera", ratio=1, no_wrap=True, overflow="ellipsis")
    for column in ("fps", "received", "dropped", "clock ±ms", "2D conf.", "state"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, camera in stats.get("cameras", {}).items():
        dropped, error_ms = camera.get("dropped") or 0, camera.get("clock_error_ms")
        confidence, state = camera.get("confidence"), str(camera.get("state") or _UNKNOWN)
        table.add_row(
            Text(name, "bold"),
            _number(camera.get("fps"), 1),
            _number(camera.get("received")),
            Text(_number(dropped), "yellow" if dropped else "default"),
            Text(_number(error_ms, 2), "yellow" if (error_ms or 0) > 10 else "default"),
            Text(
                _number(confidence, 2),
                "yellow" if confidence is not None and confidence < 0.3 else "default",
            ),
            Text(state, "green" if state == "live" else "dim" if state == "ended" else "red"),
        )
    return table


def _stages(stats: Mapping[str, Any]) -> Table:
    """Two stages a row: stage, p50, p95."""
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for _ in range(2):
        table.add_column("stage", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("p50 ms", justify="right", no_wrap=True)
        table.add_column("p95 ms", justify="right", no_wrap=True)
    cells = [
        (stage.replace("_", " "), _number(ms.get("p50"), 1), _number(ms.get("p95"), 1))
        for stage, ms in stats.get("latency_ms", {}).items()
    ]
    half = (len(cells) + 1) // 2
    for row in range(half):
        right = cells[half + row] if half + row < len(cells) else ("", "", "")
        table.add_row(*cells[row], *right)
    return table


def _foot(stats: Mapping[str, Any]) -> Text:
    refused = stats.get("refused") or {}
    said = Text(overflow="ellipsis", no_wrap=False)
    for name, value in (
        ("skeletons", f"{_number(stats.get('skeletons'))}"),
        ("predicted", f"{_number(stats.get('skeletons_predicted'))}"),
        ("disk free", f"{_number(stats.get('disk_free_gb'), 1)} GB"),
        ("room for", lasting(stats.get("free_recording_s"))),
    ):
        said.append(f"{name} ", "dim").append(value).append("   ")
    if refused:
        counted = ", ".join(f"{count} {reason}" for reason, count in refused.items())
        said.append("\nrefused ", "dim").append(counted, "yellow")
    if world := stats.get("world"):
        said.append("\nworld ", "dim").append(world_sentence(world))
    said.append("\n2D ", "dim").append(str(stats.get("detector") or _UNKNOWN))
    said.append("\nengine ", "dim").append(str(stats.get("engine") or _UNKNOWN))
    if backend := stats.get("engine_backend"):
        said.append(f"  on {backend}", "dim")
    if plan := stats.get("engine_plan"):
        said.append(f"  (plan: {plan})", "yellow")
    said.append(_quality(stats.get("quality") or {}))
    if trouble := stats.get("engine_trouble"):
        said.append("\nENGINE REFUSED ", "bold red").append(str(trouble), "red")
    return said


def _quality(quality: Mapping[str, Any]) -> Text:
    """How well the lifter agrees with itself and the pictures, beside the one before it."""
    said = Text()
    if quality.get("instants"):
        before = quality.get("before") or {}
        said.append("\nquality ", "dim")
        for name in ("agreement", "reprojection"):
            said.append(f"{name} {quality[name]:.1%} ")
            if before.get(name) is not None:
                said.append(f"(before {before[name]:.1%}) ", "dim")
        said.append(f"{quality['instants']}/{quality['of']}", "dim")
    if gone := quality.get("rolled_back"):
        said.append("\nROLLED BACK ", "bold red")
        said.append(f"from {gone['from']}: {gone['why']}", "red")
    return said


def lasting(seconds: float | None) -> str:
    """A span of time as people say it."""
    if seconds is None:
        return _UNKNOWN
    hours, minutes = int(seconds // 3600), int(seconds % 3600 // 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return (
        f"{hours} h {minutes:02d}" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
    )


def _number(value: float | None, digits: int = 0) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"
