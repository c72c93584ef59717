"""The figures that the paper reports."""

import numpy as np
import pytest

from train.data.human36m import ACTIONS
from train.evaluation.paper_results import JDR, SIX_JOINTS, TABLES, WANDT


def test_the_papers_means_are_the_means_of_its_actions_and_agree_between_tables() -> None:
    for row in TABLES[1].rows:
        assert set(row.figures) <= {*ACTIONS, "mean"}
        if len(row.figures) == len(ACTIONS) + 1:
            by_action = [row.figures[action] for action in ACTIONS]
            assert np.mean(by_action) == pytest.approx(row.figures["mean"], abs=0.1)
    assert TABLES[1].rows[-1].figures["mean"] == TABLES[3].rows[-1].figures["p_mpjpe_mm"]
    assert {name: len(rows) for name, rows in JDR.items()} == dict.fromkeys(JDR, 2)


def test_fusing_all_views_is_reported_better_than_stage_1_and_than_the_baseline() -> None:
    for number in (3, 4, 5):
        rows = {row.method: row.figures for row in TABLES[number].rows}
        ours, first, baseline = (rows[name] for name in ("CVSF (S1+S2)", "CVSF (S1)", WANDT))
        assert ours["n_mpjpe_mm"] < first["n_mpjpe_mm"] < baseline["n_mpjpe_mm"]
        assert ours["p_mpjpe_mm"] < first["p_mpjpe_mm"] < baseline["p_mpjpe_mm"]


def test_an_uncertain_cell_is_absent_and_not_zero() -> None:
    rows = {row.method: row.figures for row in TABLES[4].rows}
    assert set(rows["Kocabas [9]"]) == {"n_mpjpe_mm", "n_pck"}
    every = [row for table in TABLES.values() for row in table.rows]
    assert all(figure > 0 for row in every for figure in row.figures.values())


def test_joint_detection_rates_are_percent_of_six_joints_in_each_dataset() -> None:
    assert set(JDR) == {"human3.6m", "mpi-inf-3dhp", "skipose"}
    for rows in JDR.values():
        for row in rows:
            assert tuple(row.figures) == SIX_JOINTS
            assert all(50 < rate <= 100 for rate in row.figures.values())
