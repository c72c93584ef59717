"""The scores of a night's report."""

from pathlib import Path
from typing import Any

from tests.support.nights import night_report
from tests.support.pages import page_of
from train.report.scores import better_and_worse, changes_panels, curve_panels


def test_sessions_are_counted_by_the_first_score_that_they_have() -> None:
    report = night_report()
    assert better_and_worse(report) == (4, 0, 0)
    first, second, third, _ = report["evaluation"]
    first["after"]["one_view_share"] = 2 * first["before"]["one_view_share"]
    del second["before"]["one_view_share"]  # judged against the truth instead
    second["after"]["n_mpjpe_mm"] = second["before"]["n_mpjpe_mm"]
    third["before"] = {}
    assert better_and_worse(report) == (1, 1, 1)
    assert better_and_worse({}) is None


def test_every_score_is_shown_before_and_after_even_one_without_a_name(tmp_path: Path) -> None:
    report: dict[str, Any] = night_report()
    report["evaluation"][0]["before"]["odd<score>"] = 0.123
    page = page_of({key: report[key] for key in ("evaluation", "reference")}, tmp_path)
    for said in ("9.1 %", "7.4 %", "0.123", "82.7 mm", "82.1 mm", "staff.npz"):
        assert said in page.text.replace("\u00a0", " ")
    assert "odd<score>" in page.within("h3")
    for judged in report["evaluation"]:
        assert judged["session"] in page.text
    assert changes_panels({}) == []


def test_a_score_is_shown_for_the_sessions_that_have_it_only() -> None:
    report = night_report()
    for judged in report["evaluation"][1:]:
        for when in ("before", "after"):
            del judged[when]["n_mpjpe_mm"]
    del report["reference"]
    panels = {p.title: [row.name for row in p.changes] for p in changes_panels(report)}
    assert panels["Against ground truth"] == [report["evaluation"][0]["session"]]
    assert "Not to be forgotten" not in panels


def test_a_curve_is_shown_with_its_first_and_last_value_and_left_out_where_it_is_empty(
    tmp_path: Path,
) -> None:
    report = night_report()
    page = page_of({"training": report["training"]}, tmp_path)
    curve = report["training"]["curve"]
    for key in ("loss", "one_view", "fused", "bone_spread"):
        assert f"{curve[0][key]:.3g} → {curve[-1][key]:.3g}" in page.text
    for point in curve:
        del point["one_view"], point["fused"]
    assert len(curve_panels(report)) == 2
    assert curve_panels({}) == curve_panels({"training": {"curve": [{"step": 0}]}}) == []
