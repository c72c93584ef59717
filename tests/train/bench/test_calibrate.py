"""`cvsf bench calibrate`: which sessions it takes, what it refuses, and what its rows are medians
of.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from tests.support.recordings import multiview, run
from tests.support.walkers import WALKERS, walkers
from train.bench.calibrate import Results, _counts, _picked, _rows, _show, bench_calibrate
from train.bench.calibration_methods import (
    TOLD,
    TOLD_NOTHING,
    TOLD_WRONG,
    TRUE_CAMERAS,
    Scores,
)
from train.data.npz import read_file
from train.evaluation.calibration_errors import Errors
from train.evaluation.take_errors import TakeErrors


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walkers(tmp_path_factory.mktemp("walkers") / "walkers.npz", frames=60)


def scores(
    n_mm: float, rotation_deg: tuple[float, ...] = (), noticed: bool | None = None
) -> Scores:
    return Scores(
        rotation_deg=rotation_deg,
        centre_share=tuple(0.01 * angle for angle in rotation_deg),
        errors=Errors(n_mm=2 * n_mm, p_mm=n_mm, count=2),
        take=TakeErrors(rooted_mm=n_mm, place_mm=0.0),
        seconds=n_mm,
        is_noticed=noticed,
    )


@pytest.mark.slow
def test_all_methods_are_scored_on_the_same_session_and_given_focal_lengths_help(
    file: Path,
) -> None:
    words = ("--least-seconds", "1", "--sessions", "1", "--views", "3", "--seed", "5", "--json")
    facts = run(bench_calibrate, file, *words)
    assert (facts["sessions"], facts["seed"]) == (1, 5)
    rows = {row["method"]: row for row in facts["rows"]}
    assert list(rows) == [TOLD_NOTHING, TOLD, TOLD_WRONG, TRUE_CAMERAS]
    assert {row["views"] for row in facts["rows"]} == {3}
    assert rows[TOLD]["centre_error_share"] < rows[TOLD_NOTHING]["centre_error_share"] < 0.1
    assert rows[TOLD]["rotation_deg"] < 1
    best = rows[TRUE_CAMERAS]
    assert best["rotation_deg"] is None
    assert best["centre_error_share"] is None
    for row in facts["rows"]:
        assert 0 < row["n_mpjpe_mm"] < 1.5 * best["n_mpjpe_mm"]
        assert 0 < row["p_mpjpe_mm"] < row["rooted_mm"]
        assert row["refused_share"] == 0
        assert (row["noticed_share"] is None) == (row["method"] != TOLD_WRONG)


def test_people_are_taken_in_turn_and_short_sessions_left_out(file: Path) -> None:
    found = read_file(file)
    again = replace(found, session=tuple(f"again {name}" for name in found.session))
    random = np.random.default_rng(0)
    picked = _picked([found, again], 2, 1.0, random)
    assert sorted(one.subject[0] for one in picked) == sorted(WALKERS)
    assert len(_picked([found, again], 9, 1.0, random)) == 4
    with pytest.raises(Refusal, match=r"no session is 8 s long; lower --least-seconds"):
        _picked([found], 2, 8.0, random)


def test_the_same_seed_takes_the_same_sessions(file: Path) -> None:
    found = read_file(file)
    names = [
        [one.session[0] for one in _picked([found], 1, 1.0, np.random.default_rng(seed))]
        for seed in (3, 3, *range(8))
    ]
    assert names[0] == names[1]
    assert len({one[0] for one in names}) == 2


@pytest.mark.parametrize("views", ["", "4,x", "1", "3,0"])
def test_numbers_of_views_are_from_two_on(views: str) -> None:
    assert _counts("4,3,3,2") == [4, 3, 2]
    with pytest.raises(Refusal, match="expected numbers from 2 on"):
        _counts(views)


def test_a_file_without_truth_or_with_too_few_or_moving_cameras_is_refused(
    file: Path, tmp_path: Path
) -> None:
    blind = multiview(tmp_path / "blind.npz")
    with pytest.raises(Refusal, match=r"blind.npz has no ground truth, expected joints_mm"):
        bench_calibrate([blind], views="3")
    with pytest.raises(Refusal, match=r"has 4 views, expected 5; lower --views"):
        bench_calibrate([file], views="5,4")
    with np.load(file) as read:
        arrays = {name: read[name] for name in read.files}
    arrays["focal_px"] = arrays["focal_px"] * np.linspace(1, 1.2, len(arrays["t_s"]))[:, None]
    np.savez(tmp_path / "zoom.npz", allow_pickle=False, **arrays)
    with pytest.raises(Refusal, match=r"zoom:0 has cameras that move, expected still ones"):
        bench_calibrate([tmp_path / "zoom.npz"])
    with pytest.raises(Refusal, match=r"no instant of .* is of the chosen subjects"):
        bench_calibrate([file], subjects="carl")


def test_a_row_has_medians_over_cameras_and_sessions_and_counts_refusals() -> None:
    wrong = [scores(1, (1, 1, 1), True), scores(3, (5,), False), scores(8, (1,), True), None]
    results: Results = {(4, TOLD_WRONG): wrong, (4, TRUE_CAMERAS): [scores(2)], (2, TOLD): [None]}
    first, second, third = _rows(results)
    assert first == {
        "method": TOLD_WRONG,
        "views": 4,
        "rotation_deg": 1.0,
        "centre_error_share": 0.01,
        "n_mpjpe_mm": 3.0,
        "p_mpjpe_mm": 1.5,
        "rooted_mm": 3.0,
        "seconds": 3.0,
        "refused_share": 0.25,
        "noticed_share": 0.6667,
    }
    assert (second["rotation_deg"], second["noticed_share"]) == (None, None)
    assert (third["n_mpjpe_mm"], third["refused_share"]) == (None, 1.0)


def test_the_table_fits_a_terminal_and_says_what_was_noticed_and_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results: Results = {
        (4, TOLD_WRONG): [scores(12.34, (0.5,), True), None],
        (2, TRUE_CAMERAS): [scores(9)],
    }
    _show({"rows": _rows(results), "sessions": 2, "seed": 7})
    said = capsys.readouterr().out
    assert "2 sessions, seed 7" in said
    assert max(len(line) for line in said.splitlines()) <= 80
    (row,) = (line.split() for line in said.splitlines() if f"{TOLD_WRONG}  " in line)
    assert row[-6:] == ["0.50", "0.50", "12.3", "6.2", "12.3", "12.3"]
    assert said.index("4 views") < said.index(TOLD_WRONG) < said.index("2 views")
    assert f"{TOLD_WRONG}, 4 views: in 100% the result says so" in said
    assert f"{TOLD_WRONG}, 4 views: 50% refused" in said
