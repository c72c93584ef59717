"""A night's report as a page: whole, safe and readable whatever the night left in it."""

import copy
import functools
import math
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.headless_browser import Chromium, find_chromium
from tests.support.nights import night_report, skeletons
from tests.support.pages import page_of
from train.report.page import write_page

_JUNK: tuple[Any, ...] = (
    None, math.nan, math.inf, -1, 0, True, 10**400, "", "text", "2026-11-23T02:00:00+01:00",
    [], {}, [None, math.nan], {"name": None}, [[1, 2]], [{}],
)  # fmt: skip


def small_report() -> dict[str, Any]:
    """All that a report may have, once or twice."""
    report = night_report()
    for name in ("evaluation", "gate", "steps"):
        report[name] = report[name][:2]
    report["training"]["curve"] = report["training"]["curve"][:2]
    report["bones"] = report["bones"][:2]
    report["skeletons"] = skeletons(1)
    for body in ("target", "before", "after"):
        report["skeletons"][0][body] = report["skeletons"][0][body][:4]
    return report


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to everything in a report."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inside:
        yield (*way, key)
        if isinstance(item, dict | list):
            yield from places(item, (*way, key))


_DRAWN: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def drawings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing follows from its arguments, and takes more time than the rest of a page."""
    for name in ("scores.change_chart", "scores.curve_chart", "page.draw_body"):
        draw = pkgutil.resolve_name(f"train.report.{name}")
        monkeypatch.setattr(f"train.report.{name}", functools.partial(draw_once, draw))


def draw_once(draw: Callable[..., Any], *given: Any, **named: Any) -> Any:
    key = repr((draw, [one for one in given if not callable(one)], named))
    if key not in _DRAWN:
        _DRAWN[key] = draw(*given, **named)
    return _DRAWN[key]


def test_a_page_is_one_valid_file_that_loads_nothing_else(tmp_path: Path) -> None:
    page = page_of(night_report(), tmp_path)
    assert page.html.startswith("<!doctype html>")
    assert {tag for tag, _ in page.tags} >= {"html", "head", "title", "body", "main", "svg"}
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not {"src", "href", "srcset", "action"} & {name for _, a in page.tags for name in a}
    assert not re.search(r"https?:|//|url\(|@import", page.html)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_verdict_is_the_heading_and_the_rollback_command_is_shown(tmp_path: Path) -> None:
    report = night_report()
    page = page_of(report, tmp_path)
    assert page.within("h1") == [report["verdict"]]
    assert "cvsf models rollback" in page.within("code")
    assert report["before"]["sha256"] in page.within("code")
    assert "Monday, 23 November 2026" in page.text
    assert "4 of 4 kept-back sessions are better 0 worse" in page.text
    assert "2 740 instants trained on" in page.text
    for name, reason in report["sessions"]["left_out"].items():
        assert name in page.text
        assert f"left out: {reason}" in page.text


@pytest.mark.parametrize("outcome", ["promoted", "kept", "refused", "dry run", None, "<odd>"])
def test_every_outcome_has_a_colour_and_a_word(tmp_path: Path, outcome: str | None) -> None:
    page = page_of(night_report() | {"outcome": outcome}, tmp_path)
    known = outcome if outcome in ("promoted", "kept", "refused", "dry run") else "unfinished"
    assert page.classes(known.replace(" ", "-")) == 1
    assert known in page.within("p")


def test_a_session_that_got_worse_is_shown_as_worse(tmp_path: Path) -> None:
    report = night_report()
    judged = report["evaluation"][2]
    judged["after"] = {key: value * 1.03 for key, value in judged["before"].items()}
    report["gate"][2] |= {"found": 1, "passed": False}
    page = page_of(report, tmp_path)
    assert "3 of 4 kept-back sessions are better 1 worse" in page.text
    assert "+3.0 %" in page.text
    assert page.classes("fail") == 2  # the row and its mark


def test_a_negative_gain_is_shown_as_more_error(tmp_path: Path) -> None:
    page = page_of({"gain": -0.034, "gain_interval": [-0.06, 0.002]}, tmp_path)
    assert "3.4 % more error of single cameras" in page.text
    assert "between −6.0 % and 0.2 %" in page.text  # noqa: RUF001


def test_before_and_after_are_drawn_over_the_same_target(tmp_path: Path) -> None:
    page = page_of(night_report() | {"skeletons": skeletons(1)}, tmp_path)
    drawings = re.findall(r"<figure>(.*?)</figure>", page.html, re.S)
    targets = [re.findall(r'<g class="target">.*?</g>', drawn, re.S) for drawn in drawings]
    assert len(drawings) == 4  # before and after, from two sides
    assert targets[0] == targets[2] != targets[1] == targets[3]
    assert drawings[0] != drawings[2]
    for side in ("left", "right"):
        assert f'class="bone {side}"' in drawings[0]


def test_bodies_face_the_reader_wherever_they_were_heading(tmp_path: Path) -> None:
    report = night_report() | {"skeletons": skeletons(1)}
    turned = copy.deepcopy(report)
    shown = turned["skeletons"][0]
    for name in ("target", "before", "after"):
        shown[name] = [[-y, x, z] for x, y, z in shown[name]]
    one, other = (
        re.findall(r"<figure>.*?</figure>", page_of(r, tmp_path).html, re.S)
        for r in (report, turned)
    )
    assert one == other


def test_joints_that_are_not_known_are_not_drawn(tmp_path: Path) -> None:
    report = night_report() | {"skeletons": skeletons(1)}
    whole = page_of(report, tmp_path).classes("bone")
    report["skeletons"][0]["before"][3] = [None, math.nan, 0.1]
    page = page_of(report, tmp_path)
    assert page.classes("bone") == whole - 2  # an ankle's bone, from two sides
    assert "nan" not in page.html.replace("nance", "")


def test_a_diverged_loss_ends_where_it_stopped_being_a_number(tmp_path: Path) -> None:
    report = night_report()
    for point in report["training"]["curve"][8:]:
        point["loss"] = math.nan
    page = page_of(report, tmp_path)
    assert "not finite" in page.text
    assert "loss 0.0657 →" in page.text
    assert "nan" not in page.html


def test_markup_in_the_texts_of_a_report_is_escaped(tmp_path: Path) -> None:
    hostile = "</style><script>alert('x')</script>&\"<b>$title"

    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                f"{hostile}{k}" if k.startswith("2026") else k: poison(v) for k, v in value.items()
            }
        if isinstance(value, list):
            return [poison(item) for item in value]
        return hostile if isinstance(value, str) else value

    report = poison(night_report()) | {"problems": [hostile + "!"], "outcome": "promoted"}
    report["evaluation"][0]["before"][hostile] = 0.5
    page = page_of(report, tmp_path)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search(r"<script|alert\('x'\)|&\"", page.html)
    assert page.within("h1") == [hostile]
    assert page.within("li") == [hostile + "!"]


def test_an_empty_report_makes_a_page(tmp_path: Path) -> None:
    page = page_of({}, tmp_path)
    assert page.within("h1") == ["The night has no verdict yet."]
    assert "Bodies" not in page.text


def test_a_report_without_any_one_of_its_keys_makes_a_page(tmp_path: Path) -> None:
    for name in night_report():
        report = small_report()
        del report[name]
        assert len(page_of(report, tmp_path).within("h1")) == 1, name
        assert len(page_of({name: small_report()[name]}, tmp_path).within("h1")) == 1, name


@pytest.mark.slow
def test_a_report_with_values_of_wrong_types_makes_a_page(tmp_path: Path) -> None:
    whole = small_report()
    for number, way in enumerate(places(whole)):
        report = copy.deepcopy(whole)
        holder: Any = report
        for key in way[:-1]:
            holder = holder[key]
        for turn in range(2):
            holder[way[-1]] = _JUNK[(number * 2 + turn) % len(_JUNK)]
            assert len(page_of(report, tmp_path).within("h1")) == 1, way


def test_a_refused_night_shows_its_reason_only_once(tmp_path: Path) -> None:
    trouble = "training ended without a word (exit 1)"
    report = {
        "outcome": "refused",
        "verdict": f"Nothing changed: {trouble}.",
        "problems": [trouble, "old engines stay"],
        "sessions": {"learned": [{"name": "run-07"}, {"name": "run-08"}]},
    }
    page = page_of(report, tmp_path)
    assert page.within("li") == ["old engines stay"]
    assert "2 sessions trained on" in page.text


@pytest.mark.skipif(find_chromium() is None, reason="no chromium on PATH")
def test_a_page_fits_the_width_of_a_phone(tmp_path: Path) -> None:
    write_page(night_report(), tmp_path / "report.html")
    browser = Chromium(390, 844)
    try:
        browser.open((tmp_path / "report.html").as_uri())
        browser.wait_for("document.readyState === 'complete' && !!document.querySelector('main')")
        assert browser.ask("document.documentElement.scrollWidth") == 390
        assert browser.ask("document.querySelectorAll('.bodies svg').length") == 16
    finally:
        browser.close()
