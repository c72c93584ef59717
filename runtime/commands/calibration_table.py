"""The calibrations of a recorded session as a table: which cameras held from when on.

A figure without its doubt is not shown.
"""

from collections.abc import Sequence

from rich.table import Table

from cvsf.session.calibrations import CalibrationUpdate
from cvsf.session.reader import Manifest


def calibrations_table(found: Sequence[CalibrationUpdate], manifest: Manifest) -> Table:
    """Which cameras held from when on."""
    first = [s.first_ns for s in manifest.segments if s.first_ns is not None]
    begun_ns = min(first, default=0)
    table = Table(box=None, pad_edge=False, title="calibrations", title_justify="left")
    for title in ("no", "from", "why", "cameras", "instants", "focal px", "off", "metre by"):
        table.add_column(title, justify="left" if title in ("why", "metre by") else "right")
    for held in found:
        rig, sure = held.calibration.rig, held.calibration.uncertainty
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
