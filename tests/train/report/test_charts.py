"""The charts of a night's report: what they say in words."""

import math

import pytest

from tests.support.pages import Page
from train.report.charts import Change, Line, change_chart, curve_chart


@pytest.mark.parametrize(
    ("before", "after", "gain", "way"),
    [
        (0.08, 0.06, 0.25, "better"),
        (0.08, 0.1, -0.25, "worse"),
        (0.08, 0.08, 0.0, "same"),
        (None, 0.08, None, "same"),
        (0.0, 0.1, None, "worse"),
    ],
)
def test_a_change_is_marked_better_where_the_error_fell(
    before: float | None, after: float | None, gain: float | None, way: str
) -> None:
    change = Change(name="run-07", before=before, after=after)
    assert change.gain == (None if gain is None else pytest.approx(gain))
    assert change.way == way


def test_arrows_of_one_chart_share_a_scale_from_zero_which_is_marked_once() -> None:
    changes = [
        Change(name="run-07", before=80.0, after=60.0),
        Change(name="run-08", before=None, after=70.0),
        Change(name="run-09", before=80.0, after=60.0),
    ]
    first, other, third, scale = change_chart(changes, lambda v: f"{v:g} mm")
    assert first.body == third.body != other.body
    assert Page(scale.body).within("text")[::4] == ["0 mm", "80 mm"]
    assert [Page(arrow.body).within("text") for arrow in (first, other)] == [[], []]


@pytest.mark.parametrize("points", [(), ((0.0, math.nan), (5.0, math.inf)), ((5.0, 0.0),)])
def test_a_curve_without_a_number_to_draw_is_still_a_chart(
    points: tuple[tuple[float, float], ...],
) -> None:
    lines = [Line(label="loss", points=points)]
    page = Page(curve_chart(lines, logarithmic=True, steps=10).body)
    assert "step 0" in page.text
    assert "nan" not in page.html
    assert ("not finite" in page.text) == any(not math.isfinite(y) for _, y in points)
