"""The hub's figures of one second as a table for a terminal, readable at 80 columns.

It shows only what the hub itself says.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_MADE_BY = {
    "height": "the athlete's height",
    "bone": "a bone",
    "distance": "a camera distance",
    "adult": "an adult's usual height",
    "unit": "nothing",
}
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


def world_sentence(world: Mapping[str, Any]) -> Text:
    """Where a running hub is with its cameras."""
    if not world.get("calibration"):
        return Text(f"not found yet: {world.get('waiting_for')}", "yellow")
    misfit = world.get("misfit") or {}
    worst = max(misfit, key=lambda camera: float(misfit[camera]), default=None)
    made_by = _MADE_BY.get(str(world["scale_source"]), world["scale_source"])
    said = Text(f"cameras {world['calibration']} ({world['cause']}), metres by {made_by}")
    if worst is not None:
        said.append(f", worst {worst} {float(misfit[worst]):.1%}")
    if world.get("moved"):
        said.append(f", MOVED {' '.join(world['moved'])}", "bold red")
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
