"""The bench of whole nights: what it refuses before it records, and what it says in the end."""

from pathlib import Path
from typing import Any

import pytest

from cvsf.system.errors import Refusal
from train.bench.night import FIRST_UNSEEN, _command, _night, _show, bench_night
from train.bench.simulated_sessions import Slope


def test_a_slope_that_may_have_been_trained_on_is_refused() -> None:
    with pytest.raises(Refusal, match="seed 999999 may have been trained on; choose from 1000000"):
        bench_night(seed=[FIRST_UNSEEN, FIRST_UNSEEN - 1])


def test_a_folder_to_keep_that_is_there_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"is there already, expected a new folder; give another"):
        bench_night(seed=[FIRST_UNSEEN], keep=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_fails_is_refused_with_its_own_last_words() -> None:
    with pytest.raises(Refusal, match=r"cvsf sessions /nowhere ended with 2: .* is not a session"):
        _command("sessions", "/nowhere")


def test_a_night_without_sessions_is_refused_with_its_verdict(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    slope = Slope(seed=7, data=tmp_path / "data", truth=tmp_path / "truth")
    with pytest.raises(Refusal, match=r"slope 7 gave no night: .* has 0 new sealed sessions"):
        _night(slope)


def test_the_table_of_nights_shows_every_gain_and_that_poison_changed_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def night(seed: int, before: float, after: float, promoted: bool) -> dict[str, Any]:
        errors = {"before": {"n_mpjpe_mm": before}, "after": {"n_mpjpe_mm": after}}
        gain = 1 - after / before
        return {"seed": seed, "promoted": promoted, "improvement": gain, "one_view": errors}

    nights = [night(1_000_001, 80.0, 60.0, True), night(1_000_002, 70.0, 70.0, False)]
    _show({"nights": nights, "poisoned": {"NaN": "Nothing changed."}}, as_json=False)
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if "1000" in line]
    assert [
        tuple(word for word in row.split() if word[-1].isalnum() or "%" in word)[1:] for row in rows
    ] == [("80.0", "60.0", "25.0%", "new"), ("70.0", "70.0", "0.0%", "starter")]
    assert "NaN: Nothing changed." in said
