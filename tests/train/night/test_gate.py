"""The gate: what lets a new engine through, and each thing that keeps it out."""

from dataclasses import replace
from typing import Any

import numpy as np

from train.night.gate import Pair, Verdict, decide

GOOD = {"everyday movement": (100.0, 101.0)}


def pair(gain: float, *, count: int = 200, name: str = "run", **changed: Any) -> Pair:
    """A session on which the error falls by a share, with the noise that real ones have."""
    random = np.random.default_rng(count)
    before = random.gamma(8.0, 0.01, count)
    after = before * (1 - gain) * random.uniform(0.9, 1.1, count)
    given = {"views_apart": (0.1, 0.09), "fused": (0.05, 0.05), "is_new": True, **changed}
    return Pair(session=name, before=before, after=after, block=np.arange(count) // 20, **given)


def verdict(
    *pairs: Pair, reference: dict[str, tuple[float, float]] = GOOD, over: float = 1.0
) -> Verdict:
    return decide(pairs, reference, (100.0, 100.0 * over))


def failed(found: Verdict) -> list[str]:
    return [check.check for check in found.checks if not check.passed]


def test_a_better_engine_passes_the_gate() -> None:
    found = verdict(pair(0.1), pair(0.05))
    assert found.passed
    assert found.interval
    assert found.gain
    assert 0 < found.interval[0] < found.gain < found.interval[1] < 0.12


def test_no_gain_or_one_by_chance_is_kept_out() -> None:
    assert not verdict(pair(0.0)).passed
    assert not verdict(pair(-0.1)).passed
    random = np.random.default_rng(4)
    lucky = pair(0.0, count=60)
    noise = lucky.before * random.uniform(0.3, 1.7, 60)
    by_chance = Pair(
        session="short",
        before=lucky.before,
        after=noise * 0.97 * lucky.before.mean() / noise.mean(),
        block=np.arange(60) // 10,
        views_apart=(0.1, 0.1),
        fused=(0.1, 0.1),
        is_new=True,
    )
    assert any("95 %" in check for check in failed(verdict(by_chance)))


def test_an_engine_worse_on_one_session_is_kept_out_however_good_the_others_are() -> None:
    assert failed(verdict(pair(0.4), pair(-0.05, name="bad"))) == ["gain on the worst session, bad"]
    assert failed(verdict(pair(0.4), pair(-0.05, name="old", is_new=False))) == [
        "gain on the worst session, old"
    ]


def test_an_engine_that_forgets_everyday_movement_is_kept_out_at_once_or_over_nights() -> None:
    assert "everyday" in failed(verdict(pair(0.2), reference={"everyday movement": (100, 110)}))[0]
    assert failed(verdict(pair(0.2), over=1.2)) == [
        "error on everyday movement, over the shipped lifter's"
    ]


def test_views_that_agree_less_or_a_worse_fused_body_are_kept_out() -> None:
    assert not verdict(pair(0.2, views_apart=(0.1, 0.12))).passed
    assert not verdict(pair(0.2, fused=(0.05, 0.06))).passed


def test_a_gain_measured_in_one_second_alone_is_kept_out() -> None:
    short = replace(pair(0.3, count=60), block=np.zeros(60, np.int64))
    assert failed(verdict(short)) == ["seconds covered by these instants"]


def test_no_sessions_too_few_instants_and_nan_errors_are_kept_out() -> None:
    assert not verdict().passed
    assert not verdict(pair(0.3, count=20)).passed
    broken = pair(0.3)
    broken.after[3] = np.nan
    assert failed(verdict(broken)) == ["all errors of the new engine are finite"]
    assert not verdict(pair(0.3), reference={"everyday movement": (100.0, np.nan)}).passed
