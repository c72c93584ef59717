"""The tables of a night's report."""

from pathlib import Path
from typing import Any

from tests.support.nights import night_report
from tests.support.pages import page_of
from train.report.tables import engine_facts, gate_rows, session_rows, step_rows, training_facts


def test_every_check_of_the_gate_is_shown_with_its_found_and_wanted_value(
    tmp_path: Path,
) -> None:
    report: dict[str, Any] = {
        "gate": [
            {"check": "gain", "found": 0.149, "wanted": "above 0.02", "passed": True},
            {"check": "<worse>", "found": 2, "wanted": "0", "passed": False},
            {"check": "parity", "passed": None},
        ]
    }
    page = page_of(report, tmp_path)
    cells = page.within("td")
    assert cells[:3] == ["gain", "0.149", "above 0.02"]
    assert cells[3:6] == ["<worse>", "2", "0"]
    outcomes = [said.split()[-1] for said in page.within("span")]
    assert outcomes == ["passed", "failed", "run"]


def test_sessions_are_shown_with_their_role_and_left_out_ones_with_the_reason(
    tmp_path: Path,
) -> None:
    report = night_report()
    sessions = report["sessions"]
    page = page_of({"sessions": sessions}, tmp_path)
    names = [one["name"] for key in ("learned", "kept_back") for one in sessions[key]]
    names += [*sessions["earlier"], *sessions["rehearsed"], *sessions["left_out"]]
    assert [name for name in page.within("td") if name in names] == names
    assert "left out: seen by one camera only" in page.text
    assert "1 214" in page.text  # the longest, in instants


def test_the_engine_that_is_live_afterwards_depends_on_the_outcome(tmp_path: Path) -> None:
    report = night_report()
    parts = {key: report[key] for key in ("engine", "before")}
    new, old = report["engine"], report["before"]["id"]
    for outcome, live in (("promoted", new), ("refused", old)):
        page = page_of({**parts, "outcome": outcome}, tmp_path)
        facts = dict(zip(page.within("dt"), page.within("code"), strict=False))
        assert facts["live before the night"] == old
        assert facts["live after it"] == live
        assert "cvsf models rollback" in page.within("code")
    assert engine_facts({}) == []


def test_the_training_and_the_duration_of_each_step_are_shown(tmp_path: Path) -> None:
    report = night_report()
    said = training_facts(report).replace("\u00a0", " ").replace("\u202f", " ")
    assert said == "variant stage3 · 2 500 steps · 32 min 14 s of computing"
    page = page_of({"steps": report["steps"]}, tmp_path)
    for step in report["steps"]:
        assert step["step"] in page.within("td")
    assert "34 min 46 s" in page.text


def test_tables_without_data_are_left_out() -> None:
    assert gate_rows({}) == session_rows({}) == step_rows({}) == []
    assert training_facts({}) == ""
    assert gate_rows({"gate": "none", "steps": [None]}) == []
