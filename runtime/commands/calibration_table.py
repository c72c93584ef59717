"""The calibrations of a recorded session as a table."""

from collections.abc import Sequence

from rich.table import Table

from cvsf.session.calibrations import CalibrationUpdate
from cvsf.session.reader import Manifest


def calibrations_table(updates: Sequence[CalibrationUpdate], manifest: Manifest) -> Table:
    """A table with a row for each calibration: since when, why, of how many cameras.

    The time is in s since the first message of the session, the focal length in px, the error that
    of the worst camera in px. Nothing is printed here.
    """
    first = [s.first_ns for s in manifest.segments if s.first_ns is not None]
    start_ns = min(first, default=0)
    table = Table(box=None, pad_edge=False, title="calibrations", title_justify="left")
    for title in ("no", "from", "why", "cameras", "instants", "focal px", "error", "scale"):
        table.add_column(title, justify="left" if title in ("why", "scale") else "right")
    for update in updates:
        rig, uncertainty = update.calibration.rig, update.calibration.uncertainty
        table.add_row(
            str(update.number),
            f"{(update.t_ns - start_ns) / 1e9:.1f} s",
            " ".join([update.cause, *update.moved]),
            str(len(rig.cameras)),
            str(update.calibration.instants),
            " ".join(f"{focal:.0f}" for focal in rig.focal_px.ravel()),
            f"{max(uncertainty.reprojection_px):.1f} px",
            update.calibration.scale_source,
        )
    return table
