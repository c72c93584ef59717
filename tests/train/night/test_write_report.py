"""The report that closes a night, whatever became of it."""

from pathlib import Path

from cvsf.registry.registry import Registry, shipped_id
from train.night.folder import Night
from train.night.gate import Check
from train.night.gate import plain as check_map
from train.night.session_selection import Plan
from train.night.write_report import write_report


def plan(live: str) -> Plan:
    return Plan(live=live, learned=("one",), kept_back=("two",))


def night(tmp_path: Path) -> Night:
    (tmp_path / "night").mkdir()
    return Night(tmp_path / "night", lock=0)


def test_a_night_whose_engine_is_gone_is_reported_as_refused(
    registry: Registry, tmp_path: Path
) -> None:
    said = write_report(night(tmp_path), plan("gone"), None, registry, trouble="it is gone.")
    assert (said["outcome"], said["verdict"]) == ("refused", "Nothing changed: it is gone.")
    assert said["before"] == {"id": "gone", "sha256": None}
    assert Path(said["report"]).is_file()


def test_a_promotion_is_reported_even_by_a_night_with_a_problem(
    registry: Registry, tmp_path: Path
) -> None:
    proof = {"promoted": True, "engine": "fresh", "gain": 0.1, "gain_interval": [0.05, 0.15]}
    said = write_report(night(tmp_path), plan(shipped_id()), proof, registry, trouble="three tries")
    assert (said["outcome"], said["problems"]) == ("promoted", ["three tries"])


def test_a_check_without_a_number_is_reported_as_such(registry: Registry, tmp_path: Path) -> None:
    check = check_map(Check(check="error", found=None, wanted="at most 1", passed=False))
    said = write_report(night(tmp_path), plan(shipped_id()), {"gate": [check]}, registry)
    assert said["outcome"] == "kept"
    assert "(error: no number, expected at most 1)" in said["verdict"]
