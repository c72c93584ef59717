"""The table of a session's calibrations."""

import io
from dataclasses import replace

import numpy as np
from rich.console import Console

from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from cvsf.session.calibrations import CalibrationUpdate
from cvsf.session.reader import Manifest, SegmentRecord
from runtime.commands.calibration_table import calibrations_table
from tests.support.made_calibration import calibration_of


def calibration(*focal_px: float, off_px: tuple[float, ...], scale_source: str) -> Calibration:
    views = len(focal_px)
    none = np.zeros(views)
    rig = Rig(
        cameras=tuple(f"cam{v}" for v in range(views)),
        image_px=np.full((views, 2), 640.0),
        view_from_world=np.tile(np.eye(3), (views, 1, 1)),
        translation=np.zeros((views, 3)),
        focal_px=np.array(focal_px),
        centre_px=np.full((views, 2), 320.0),
        distortion=np.zeros((len(none), 5)),
        delay_s=none,
    )
    found = calibration_of(rig, instants=120, scale_source=scale_source)
    uncertainty = replace(found.uncertainty, reprojection_px=np.array(off_px))
    return replace(found, uncertainty=uncertainty)


def rows(found: list[CalibrationUpdate], manifest: Manifest) -> list[list[str]]:
    """The table's rows in words, parted where two spaces are."""
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(calibrations_table(found, manifest))
    text = console.export_text().splitlines()
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text]


def test_a_row_shows_time_cause_error_and_scale_source() -> None:
    found = [
        CalibrationUpdate(
            t_ns=5_500_000_000,
            number=1,
            cause="first",
            moved=(),
            calibration=calibration(800.4, 1199.6, off_px=(1.2, 2.7), scale_source="height"),
        ),
        CalibrationUpdate(
            t_ns=12_000_000_000,
            number=2,
            cause="moved",
            moved=("cam1",),
            calibration=calibration(800.0, 1250.0, off_px=(3.0, 1.0), scale_source="adult"),
        ),
    ]
    manifest = Manifest(
        name="s", started="2026-11-22", recording="poses",
        segments=[SegmentRecord(file="b", first_ns=9_000_000_000),
                  SegmentRecord(file="a", first_ns=2_000_000_000)],
    )  # fmt: skip
    table = rows(found, manifest)
    assert ["1", "3.5 s", "first", "2", "120", "800 1200", "2.7 px", "height"] in table
    assert ["2", "10.0 s", "moved cam1", "2", "120", "800 1250", "3.0 px", "adult"] in table
