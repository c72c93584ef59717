"""The summary of a run, printed at a terminal at its end."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runtime.stats import Stats


def summary(stats: Stats) -> RenderableType:
    """What is printed at the end of a run: session, instants, skeletons, each camera's frames.

    Without a session it says `not recorded`. Nothing is printed here.
    """
    folder = Path(stats.session) if stats.session else None
    parts: list[RenderableType] = [
        Text.assemble(("cvsf ", "bold"), folder.name if folder else "not recorded"),
        Text(
            f"{stats.instants} instants, {stats.skeletons} skeletons measured,"
            f" {stats.skeletons_predicted} predicted"
        ),
        _cameras(stats),
    ]
    if lost := stats.messages_lost:
        parts.append(Text(f"{lost} messages were lost: the disk did not take them", "bold red"))
    if folder:
        parts.append(Text(f"next: cvsf sessions {folder}", overflow="fold"))
    return Group(*parts)


def _cameras(stats: Stats) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    table.add_column("camera")
    for column in ("recorded", "not kept", "dropped"):
        table.add_column(column, justify="right")
    for name, camera in stats.cameras.items():
        table.add_row(
            name,
            str(camera.recorded),
            str(camera.not_kept),
            Text(str(camera.dropped), "yellow" if camera.dropped else ""),
        )
    return table
