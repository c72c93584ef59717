"""What a night's report says, in words and numbers."""

import math
from typing import Any

import pytest

from train.report.formatting import (
    count,
    finite,
    items,
    moment,
    percent,
    plain,
    rows,
    span,
    table,
    text,
)


def test_durations_are_rounded_into_the_next_unit() -> None:
    said = [span(s).replace("\u00a0", " ") for s in (0.04, 9.97, 59.6, 3599.6, 7230)]
    assert said == ["0.0 s", "10 s", "1 min 00 s", "1 h 00 min", "2 h 00 min"]


@pytest.mark.parametrize("value", [None, True, "3", math.nan, math.inf, 10**400, [1]])
def test_what_is_no_finite_number_is_none(value: Any) -> None:
    assert finite(value) is None
    assert finite(3) == 3.0


def test_a_key_of_another_type_than_wanted_is_empty() -> None:
    report = {"rows": [{"a": 1}, 2, None], "words": " hello ", "one": 1, "nothing": "  "}
    assert rows(report, "rows") == [{"a": 1}]
    assert items(report, "words") == items(report, "missing") == []
    assert table(report, "rows") == {}
    assert (text(report, "words"), text(report, "one")) == ("hello", "1")
    assert text(report, "nothing") is text(report, "rows") is None


def test_a_time_is_in_utc_and_one_without_a_zone_is_taken_for_utc() -> None:
    report = {"zone": "2026-11-23T02:00:00+01:00", "bare": "2026-11-23T01:00:00", "odd": "noon"}
    assert moment(report, "zone") == moment(report, "bare")
    assert moment(report, "odd") is moment(report, "missing") is None


def test_numbers_are_short_and_a_missing_one_is_a_dash() -> None:
    assert [plain(v) for v in (12345.678, -0.00001234, None)] == [
        "1.235e4",
        "\u22121.234e\u22125",
        "\u2013",
    ]
    assert percent(0.1234).replace("\u00a0", " ") == "12.3 %"
    assert percent(-0.0001).replace("\u00a0", " ") == "0.0 %"  # no minus before nothing
    assert [count(1, "view", "views"), count(2740.0, "view", "views")] == [
        "1 view",
        "2\u202f740 views",
    ]
