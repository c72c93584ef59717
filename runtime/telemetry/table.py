"""The stats of one second as a table for a terminal of at least 80 columns and 24 rows.

Alarms are always complete: with too few rows, less important sections are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cvsf.system.log import terminal
from runtime.stats import CameraStats, Stats, WorldState
from runtime.telemetry.alarms import CLOCK_MS

_SCALES = {
    "height": "the athlete's height",
    "bone": "a bone",
    "distance": "a camera distance",
    "adult": "an adult's usual height",
    "unit": "nothing",
}
CAUSES = {
    "first": "the first",
    "better": "refined",
    "moved": "after a camera moved",
    "again": "calibrated again",
    "resumed": "from before the restart",
    "known": "as recorded",
}
_UNKNOWN = "-"
_FRAME_COLUMNS = 4
_OTHER_ROWS = 3
"""The frame, and the line that rich adds below a live table."""
_ECHO_COLUMNS = 2
"""Left free behind the table, where a terminal writes ^C; a new line there would leave a part of
the table on the screen at the end."""
_OTHER_COLUMNS = 59
"""Of the table of cameras, beside their names: the frame and six columns of numbers."""


class LiveTable:
    """A table that stays at the bottom of the terminal; log lines appear above it."""

    def __init__(self, *, stays: bool = False) -> None:
        """`stays` leaves the last table on the screen."""
        console, self._lock = terminal()
        self._live = Live(console=console, auto_refresh=False, transient=not stays)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._live.stop()

    def show(self, stats: Stats) -> None:
        """Draw the statistics of this second in place of the last ones; use it inside `with`."""
        with self._lock:
            self._live.update(StatsTable(stats), refresh=True)


class StatsTable:
    """The stats as rich prints them: as many sections as fit into the terminal."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        stats = self.stats
        if console.is_terminal:
            options = options.update_width(options.max_width - _ECHO_COLUMNS)
        inner = options.update_width(options.max_width - _FRAME_COLUMNS)

        def rows(section: RenderableType) -> int:
            return len(console.render_lines(section, inner))

        free = options.max_height - _OTHER_ROWS if console.is_terminal else 1_000_000
        top: list[RenderableType] = [_headline(stats)]
        top += [Text(alarm, "bold red") for alarm in stats.alarms]
        free -= sum(rows(section) for section in top)
        cameras = _cameras(stats, free - 1, options.max_width - _OTHER_COLUMNS)
        free -= rows(cameras)
        facts = [*_facts(stats)]
        kept: list[RenderableType] = []
        for section in facts:
            if rows(section) <= free:
                kept.append(section)
                free -= rows(section)
        below: list[RenderableType] = []
        stages = _stages(stats)
        if rows(stages) < free:
            below = [Text(), stages]
            free -= 1 + rows(stages)
        if free >= 2:  # space for empty lines
            top, kept = [*top, Text()], [Text(), *kept]
        yield Panel(
            Group(*top, cameras, *below, *kept),
            title=_title(stats),
            title_align="left",
            border_style="red" if stats.recording else "dim",
            padding=(0, 1),
            width=options.max_width,
        )


def _title(stats: Stats) -> Text:
    return Text.assemble(
        ("cvsf ", "bold"), Path(stats.session or "not recorded").name, style="default"
    )


def _headline(stats: Stats) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, ratio=1, justify="center")
    grid.add_column(no_wrap=True, justify="right")
    share = f"{stats.instants_full / stats.instants:.1%}" if stats.instants else _UNKNOWN
    partial = stats.instants_partial_per_s
    grid.add_row(
        Text.assemble((f"{stats.instants_per_s:.1f}", "bold green"), " instants/s"),
        Text.assemble(
            (share.replace("%", " %"), "bold"),
            " full, ",
            (f"{partial:.1f}", "yellow" if partial else ""),
            " partial/s",
        ),
        _recording(stats),
    )
    return grid


def _recording(stats: Stats) -> Text:
    if stats.recording:
        return Text("● recording", "bold red")
    if set(stats.recording_halted) - {"pause"}:
        return Text("NOT RECORDING", "bold red")
    return Text("paused" if stats.recording_halted else "not recording", "dim")


def _cameras(stats: Stats, most: int, name_columns: int) -> Table:
    """A table of at most `most` cameras; those with a fault first."""
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("camera", ratio=1, no_wrap=True, overflow="ellipsis")
    for column in ("fps", "received", "dropped", "clock ±ms", "2D conf.", "state"):
        table.add_column(column, justify="right", no_wrap=True)
    moved = stats.world.moved if stats.world else []
    names = list(stats.cameras)
    if len(names) > most:
        names.sort(key=lambda name: stats.cameras[name].state == "live" and name not in moved)
        names = names[: max(most - 1, 0)]
    for name in (one for one in stats.cameras if one in names):
        shown = Text(_elided(name, name_columns), "bold")
        table.add_row(shown, *_of_camera(stats.cameras[name], name in moved))
    if left := len(stats.cameras) - len(names):
        table.add_row(Text(f"and {left} more cameras", "dim"))
    return table


def _elided(name: str, most: int) -> str:
    """The name, without its middle if it is too long: names often differ at their ends."""
    half = max(most - 1, 2) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _of_camera(camera: CameraStats, moved: bool) -> Iterator[Text]:
    state = "moved" if moved and camera.state == "live" else camera.state
    yield Text(_number(camera.fps, 1))
    yield Text(_number(camera.received))
    yield Text(_number(camera.dropped), "yellow" if camera.dropped else "")
    yield Text(
        _number(camera.clock_error_ms, 2),
        "yellow" if (camera.clock_error_ms or 0) > CLOCK_MS else "",
    )
    unsure = camera.confidence is not None and camera.confidence < 0.3
    yield Text(_number(camera.confidence, 2), "yellow" if unsure else "")
    yield Text(state, "green" if state == "live" else "dim" if state == "ended" else "red")


def _stages(stats: Stats) -> Table:
    """Two stages a row: stage, p50, p95."""
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    for _ in range(2):
        table.add_column("stage", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("p50 ms", justify="right", no_wrap=True)
        table.add_column("p95 ms", justify="right", no_wrap=True)
    cells = [
        (stage.replace("_", " "), _number(ms.p50, 1), _number(ms.p95, 1))
        for stage, ms in stats.latency_ms.items()
    ]
    half = (len(cells) + 1) // 2
    for row in range(half):
        right = cells[half + row] if half + row < len(cells) else ("", "", "")
        table.add_row(*cells[row], *right)
    return table


def _facts(stats: Stats) -> Iterator[Text]:
    """A line each, the most important first."""
    yield _line(
        ("skeletons", str(stats.skeletons)),
        ("predicted", str(stats.skeletons_predicted)),
        ("disk free", f"{_number(stats.disk_free_gb, 1)} GB"),
        ("room for", duration(stats.free_recording_s)),
    )
    if stats.world:
        yield Text.assemble(("world ", "dim"), world_sentence(stats.world))
    if stats.refused:
        counts = ", ".join(f"{count} {reason}" for reason, count in stats.refused.items())
        yield Text.assemble(("refused ", "dim"), (counts, "yellow"))
    engine = Text.assemble(("engine ", "dim"), stats.engine or _UNKNOWN)
    engine.append(f"  on {stats.engine_backend}" if stats.engine_backend else "", "dim")
    engine.append(f"  (plan: {stats.engine_plan})" if stats.engine_plan else "", "yellow")
    yield engine
    if stats.quality.instants:
        yield _quality(stats)
    yield _line(("2D", stats.detector or _UNKNOWN))


def _line(*facts: tuple[str, str]) -> Text:
    line = Text()
    for name, value in facts:
        line.append(f"{name} ", "dim").append(value).append("   ")
    return line


def _quality(stats: Stats) -> Text:
    """Label-free metrics of the engine, beside those of the previous one."""
    quality, line = stats.quality, Text.assemble(("quality ", "dim"))
    for name, key in (("view disagreement", "agreement"), ("reprojection error", "reprojection")):
        value, previous = getattr(quality, key), getattr(quality.before, key, None)
        line.append(f"{name} {_share(value)} ")
        if previous is not None:
            line.append(f"(previous engine {_share(previous)}) ", "dim")
    return line


def world_sentence(world: WorldState) -> Text:
    """A sentence about the present calibration, or about what is missing for one.

    It has number, cause and scale source, the camera with the largest error, and moved cameras.
    """
    if not world.calibration:
        return Text(f"no calibration yet: {world.waiting_for}", "yellow")
    cause = CAUSES.get(world.cause, world.cause)
    scale = _SCALES.get(world.scale_source, world.scale_source)
    text = Text(f"calibration {world.calibration} ({cause}), metres by {scale}")
    if world.misfit:
        worst = max(world.misfit, key=lambda camera: world.misfit[camera])
        text.append(f", worst camera {worst} {_share(world.misfit[worst])}")
    if world.moved:
        text.append(f", MOVED {' '.join(world.moved)}", "bold red")
    return text


def duration(seconds: float | None) -> str:
    """A duration in s as text for people, in one or two units; `-` for None.

    From 48 h on in days, rounded down.
    """
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


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{100 * value:.1f} %"
