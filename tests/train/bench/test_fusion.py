"""`cvsf bench fusion` prints the figures that are promised, of the functions training calls."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.support.recordings import SMALL
from train.bench.fusion import ROUNDS, _milliseconds, _pieces, _seen
from train.config import TrainConfig

KEYS = (
    "fusion_over_lifter_step",
    "stage2_step_over_lift_step",
    "fusion_ms",
    "lifter_step_ms",
    "stage2_step_ms",
    "lift_step_ms",
)


@pytest.mark.slow
def test_bench_fusion_prints_its_figures_as_positive_numbers() -> None:
    words = [sys.executable, "-m", "cvsf", "bench", "fusion", "--repeats", "1", "--instants", "8"]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert all(math.isfinite(facts[key]) and facts[key] > 0 for key in KEYS)


def test_the_time_of_a_piece_is_the_median_after_a_warm_up() -> None:
    now = 0.0
    costs = {"quick": iter([9, 9, 9, 1, 2, 3, 80, 4]), "slow": iter([9, 9, 9, 10, 10, 10, 10, 10])}

    def piece(name: str) -> Callable[[], None]:
        def work() -> None:
            nonlocal now
            now += next(costs[name]) / 1e3

        return work

    found = _milliseconds({name: piece(name) for name in costs}, 5, lambda: now)
    assert found == {"quick": pytest.approx(3), "slow": pytest.approx(10)}


def test_the_timed_fusion_refines_every_view_without_gradients() -> None:
    config = TrainConfig(**SMALL | {"variant": "s1s2", "agreement_rounds": ROUNDS})
    found: Any = _pieces(config, torch.device("cpu"), 3)["fusion"]()
    refined, sure = found
    assert refined.shape == (3, 4, 16, 2)
    assert refined.isfinite().all()
    assert not refined.requires_grad
    assert sure.shape == (3, 4, 16)


def test_every_run_is_timed_on_the_same_synthetic_views() -> None:
    one, other = _seen(3), _seen(3)
    assert one.plane.shape == (3, 4, 16, 2)
    assert torch.equal(one.plane, other.plane)
    assert 0 <= float(one.confidence.min()) < 0.2 < 0.8 < float(one.confidence.max()) <= 1
