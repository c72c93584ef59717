"""What people are shown of a run: tables that fit a terminal, and a picture with its units."""

from io import StringIO
from typing import Any

from rich.console import Console

from train.evaluation.lifter_table import computing, show
from train.train import spread

SCORES: dict[str, Any] = {
    "one_view": {"n_mpjpe_mm": 75.9, "p_mpjpe_mm": 58.4, "n_pck": 0.912},
    "fused": {"n_mpjpe_mm": 31.25, "p_mpjpe_mm": 22.0, "n_pck": 0.99},
    "refined_2d": {
        **{"bad_before": 0.143, "bad_after": 0.05},
        **{"good_before": None, "good_after": None},
    },
    "jdr": {
        "lknee": {"before": 0.99, "after": 0.98},
        "rankle": {"before": 0.95, "after": 0.97},
    },
    "without_truth": {"views_apart": 0.1234, "bone_spread": None},
    "computing_s": 90.0,
}


def shown(facts: dict[str, Any]) -> str:
    console = Console(width=80, record=True, file=StringIO())
    show(facts, "a title", console)
    return console.export_text()


def test_scores_are_shown_with_their_units() -> None:
    said = shown(SCORES)
    assert said.startswith("a title\n")
    for words in ("N-MPJPE mm", "75.9", "91.2", "14.30", "5.00", "lknee", "99.0", "0.1234"):
        assert words in said
    assert "the others" not in said
    assert "bone lengths" not in said
    assert computing(SCORES) == "1.5 minutes of computing"


def test_scores_of_several_seeds_are_shown_with_their_spread_in_a_terminal() -> None:
    other = SCORES | {"fused": {"n_mpjpe_mm": 33.25, "p_mpjpe_mm": 22.0, "n_pck": 0.99}}
    other |= {"refined_2d": SCORES["refined_2d"] | {"good_before": 0.01, "good_after": 0.02}}
    said = shown(spread([SCORES, other]))
    assert "32.2 ± 1.0" in said
    assert "the others" in said  # where one seed has a figure, it counts
    assert max(map(len, said.splitlines())) <= 80


def test_scores_without_a_truth_are_shown_too() -> None:
    said = shown({"without_truth": {"views_apart": 0.5, "bone_spread": 0.25}})
    assert said.splitlines()[1:] == [
        "views apart (bodies of unit scale): 0.5000",
        "spread of bone lengths (share): 0.2500",
    ]
