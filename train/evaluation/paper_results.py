"""What the paper reports in its Tables 1 to 5, and of what.

Figures are copied, never computed; a cell we cannot read with certainty is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from train.data.human36m import ACTIONS


@dataclass(frozen=True, slots=True)
class Reported:
    """One row of a table."""

    method: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One table: the dataset it is of (None: any of the three) and its rows."""

    title: str
    dataset: str | None
    rows: tuple[Reported, ...]


WANDT = "Wandt [12], the baseline"
SIX_JOINTS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


def _by_action(method: str, figures: str) -> Reported:
    """Figures in the order of ACTIONS and then the mean; - where the cell is uncertain."""
    cells = zip((*ACTIONS, "mean"), figures.split(), strict=True)
    return Reported(method, {action: float(cell) for action, cell in cells if cell != "-"})


def _errors(method: str, figures: str) -> Reported:
    names = ("n_mpjpe_mm", "p_mpjpe_mm", "n_pck")
    cells = zip(names, figures.split(), strict=False)
    return Reported(method, {name: float(cell) for name, cell in cells if cell != "-"})


def _jdr(method: str, figures: str) -> Reported:
    cells = zip(SIX_JOINTS, figures.split(), strict=True)
    return Reported(method, {joint: float(cell) for joint, cell in cells})


JDR = {
    "human3.6m": (
        _jdr("Single", "97.1 97.5 97.5 98.5 96.7 98.2"),
        _jdr("CVSF", "98.2 98.5 97.8 98.9 98.5 99.6"),
    ),
    "mpi-inf-3dhp": (
        _jdr("Single", "97.4 97.8 99.8 96.9 97.0 96.9"),
        _jdr("CVSF", "98.8 97.8 99.9 98.4 98.4 98.3"),
    ),
    "skipose": (
        _jdr("Single", "97.0 73.7 81.2 90.0 70.0 60.9"),
        _jdr("CVSF", "98.7 77.0 75.1 91.9 71.7 56.4"),
    ),
}
"""Table 2, in percent: the detector's 2D, and the refined."""

TABLES = {
    1: PaperTable(
        "Table 1: P-MPJPE in mm by action, Human3.6M",
        "human3.6m",
        (
            _by_action(
                "Baseline",
                "- - - 51.2 53.2 59.5 49.1 50.5 65.7 83.7 - - 60.1 48.9 50.7 55.5",
            ),
            _by_action(
                "S1",
                "41.9 42.3 45.3 45.3 45.0 48.8 43.4 41.1 59.7 73.0 46.2 46.2 47.9 40.6 40.7 47.1",
            ),
            _by_action(
                "S1+S2",
                "40.1 40.4 44.1 44.5 44.2 48.0 42.3 39.9 59.0 72.1 45.3 44.3 46.1 39.4 39.9 45.9",
            ),
        ),
    ),
    2: PaperTable("Table 2: joint detection rate in %", None, ()),
    3: PaperTable(
        "Table 3: Human3.6M",
        "human3.6m",
        (
            _errors("Martinez [34], fully supervised", "67.5 52.5"),
            _errors("Rhodin [53], weakly supervised", "80.1 65.1"),
            _errors("Kocabas [9]", "76.6 67.5"),
            _errors("Jenni [10]", "89.6 76.9"),
            _errors("Iqbal [11]", "69.1 55.9"),
            _errors(WANDT, "74.3 53.0"),
            _errors("CVSF (S1)", "63.6 46.1"),
            _errors("CVSF (S1+S2)", "61.4 45.9"),
        ),
    ),
    4: PaperTable(
        "Table 4: MPI-INF-3DHP",
        "mpi-inf-3dhp",
        (
            _errors("Rhodin [53], weakly supervised", "121.8 - 72.7"),
            _errors("Kocabas [9]", "125.7 - 64.7"),
            _errors("Iqbal [11]", "110.1 68.7 76.5"),
            _errors(WANDT, "104.0 70.3 77.0"),
            _errors("CVSF (S1)", "95.2 57.3 79.3"),
            _errors("CVSF (S1+S2)", "94.6 56.5 81.9"),
        ),
    ),
    5: PaperTable(
        "Table 5: SkiPose",
        "skipose",
        (
            _errors("Rhodin [53], weakly supervised", "85.0 - 72.7"),
            _errors(WANDT, "128.1 89.6 67.1"),
            _errors("CVSF (S1)", "118.2 79.3 70.1"),
            _errors("CVSF (S1+S2)", "115.2 78.8 72.4"),
        ),
    ),
}
