"""The live bench: seeds it refuses, and how runs are put together."""

import pytest

from cvsf.system.errors import Refusal
from runtime.bench.live import _pooled, bench_live
from runtime.bench.sim import FIRST_UNSEEN


def run(seed: int, **figures: float) -> dict[str, object]:
    said = {"seed": seed, "knocked": 2, "place_ms": {"p50": 1.0}}
    usual = {"mpjpe_mm": 20.0, "first_world_s": 2.0, "bump_noticed_s": 1.0, "bump_recovered_s": 3.0}
    return said | usual | figures


def test_a_seed_that_training_may_have_seen_is_refused() -> None:
    with pytest.raises(Refusal, match=f"seed 41 may have been trained on.* from {FIRST_UNSEEN} on"):
        bench_live(seed=[FIRST_UNSEEN, 41])


def test_times_are_of_the_worst_run_and_all_else_is_the_mean() -> None:
    pooled = _pooled(
        [
            run(1, mpjpe_mm=20.0, first_world_s=1.5, bump_noticed_s=4.0),
            run(2, mpjpe_mm=25.00005, first_world_s=3.5, bump_noticed_s=0.5),
        ]
    )
    assert pooled == {
        "mpjpe_mm": pytest.approx(22.5, abs=1e-4),
        "first_world_s": 3.5,
        "bump_noticed_s": 4.0,
        "bump_recovered_s": 3.0,
    }


def test_a_knock_that_one_run_never_noticed_counts_as_never() -> None:
    never = float("inf")
    assert _pooled([run(1), run(2, bump_noticed_s=never)])["bump_noticed_s"] == never
