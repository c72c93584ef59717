"""The cameras that were found, in words: as a table of a session's, as a sentence of a running hub.

A figure without its doubt is not shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from cvsf.calibrations import Held
from cvsf.session import Manifest

MADE_BY = {
    "height": "the athlete's height",
    "bone": "a bone",
    "distance": "a camera distance",
    "adult": "an adult's usual height",
    "unit": "nothing",
}


def calibrations_table(found: Sequence[Held], manifest: Manifest) -> Table:
    """Which cameras held from when on."""
    first = [s.first_ns for s in manifest.segments if s.first_ns is not None]
    begun_ns = min(first, default=0)
    table = Table(box=None, pad_edge=False, title="calibrations", title_justify="left")
    for title in ("no", "from", "why", "cameras", "instants", "focal px", "off", "metre by"):
        table.add_column(title, justify="left" if title in ("why", "metre by") else "right")
    for held in found:
        rig, sure = held.calibration.rig, held.calibration.sureness
        table.add_row(
            str(held.number),
            f"{(held.t_ns - begun_ns) / 1e9:.1f} s",
            " ".join([held.cause, *held.moved]),
            str(len(rig.cameras)),
            str(held.calibration.instants),
            " ".join(f"{focal:.0f}" for focal in rig.focal_px.ravel()),
            f"{max(sure.reprojection_px):.1f} px",
            held.calibration.scale_source,
        )
    return table


def world_sentence(world: Mapping[str, Any]) -> Text:
    """Where a running hub is with its cameras."""
    if not world.get("calibration"):
        return Text(f"not found yet: {world.get('waiting_for')}", "yellow")
    misfit = world.get("misfit") or {}
    worst = max(misfit, key=lambda camera: float(misfit[camera]), default=None)
    made_by = MADE_BY.get(str(world["scale_source"]), world["scale_source"])
    said = Text(f"cameras {world['calibration']} ({world['cause']}), metres by {made_by}")
    if worst is not None:
        said.append(f", worst {worst} {float(misfit[worst]):.1%}")
    if world.get("moved"):
        said.append(f", MOVED {' '.join(world['moved'])}", "bold red")
    return said
