"""The sim bench: seeds it refuses, and the mean over slopes."""

import json
from typing import Any

import pytest

from cvsf.system.errors import Refusal
from runtime.bench.score_views import SCORED
from runtime.bench.sim import FIRST_UNSEEN, _mean, bench_sim


def run(n_mpjpe_mm: float, instants_per_s: float) -> dict[str, Any]:
    errors = {name: {"n_mpjpe_mm": n_mpjpe_mm, "p_mpjpe_mm": n_mpjpe_mm / 2} for name in SCORED}
    return {"seed": 1, **errors, "instants_per_s": instants_per_s, "fused_share": 0.5}


@pytest.mark.parametrize("seed", [0, FIRST_UNSEEN - 1, -3])
def test_a_seed_that_training_may_have_seen_is_refused(seed: int) -> None:
    with pytest.raises(Refusal, match=f"seed {seed} may have been trained on"):
        bench_sim(seed=[FIRST_UNSEEN, seed])


def test_every_figure_is_the_mean_over_the_slopes_however_long_their_runs() -> None:
    mean = _mean([run(10.0, 20.0), run(31.0, 19.0)])
    for name in SCORED:
        assert mean[name] == {"n_mpjpe_mm": 20.5, "p_mpjpe_mm": 10.25}
    assert (mean["instants_per_s"], mean["fused_share"]) == (19.5, 0.5)
    assert json.loads(json.dumps(mean)) == mean  # plain numbers, as --json needs them
