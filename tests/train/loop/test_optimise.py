"""The descent: resumed to the bit, in any precision, along its schedule."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL, multiview
from train.batches.batch import from_store
from train.checkpoint import read_checkpoint
from train.config import TrainConfig
from train.data.memmap_store import open_store, write_store
from train.data.npz import read_file
from train.distributed import ProcessGroup
from train.loop.optimise import check_parent, optimise, resume, schedule, start


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(tmp_path: Path) -> None:
    write_store([read_file(multiview(tmp_path / "a.npz"))], tmp_path / "store")
    store = open_store(tmp_path / "store")
    config = TrainConfig(**SMALL | {"variant": "s1s2", "plateau_window_steps": 2})

    def finish(run: Any, until: int) -> Any:
        draw = from_store(store, config, run.generators["batches"], ProcessGroup())
        with contextlib.suppress(InterruptedError):
            optimise(run, draw, on_step=lambda _: _stop_at(run, until))
        return run

    whole = finish(start(config, H36M_16, 3), 99)
    half = finish(start(config, H36M_16, 3), 3)
    half.checkpoint(("a",)).write(tmp_path / "half.pt")
    rest = finish(resume(config, H36M_16, read_checkpoint(tmp_path / "half.pt")), 99)
    assert rest.step == whole.step == SMALL["steps"]
    assert rest.stage == whole.stage == 2
    for name, tensor in whole.lifter.state_dict().items():
        assert torch.equal(tensor, rest.lifter.state_dict()[name])


@pytest.mark.parametrize("changed", [{"precision": "bfloat16"}, {"rotation": "axis-angle"}])
def test_losses_are_finite_in_bfloat16_and_with_rotation_vectors(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    write_store([read_file(multiview(tmp_path / "a.npz"))], tmp_path / "store")
    plain = {"sides_alike": False} if "rotation" in changed else {}
    config = TrainConfig(**SMALL | changed | plain | {"variant": "s1s2", "refine_every": 1})
    run = start(config, H36M_16, 3)
    losses: list[float] = []
    store = open_store(tmp_path / "store")
    draw = from_store(store, config, run.generators["batches"], ProcessGroup())
    assert optimise(run, draw, on_step=losses.append)
    assert np.isfinite(losses).all()


def _stop_at(run: Any, step: int) -> None:
    if run.step >= step:
        raise InterruptedError


def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine_to_a_thousandth() -> None:
    assert [schedule(step, 0.0, 4) for step in range(3)] == pytest.approx(
        [1.001 * share for share in (0.25, 0.5, 0.75)]
    )
    assert schedule(50, 0.5, 4) == pytest.approx(0.501)
    assert schedule(100, 1.0, 4) == schedule(120, 1.2, 4) == pytest.approx(0.001)


def test_a_run_starts_from_its_parents_weights_and_keeps_its_recordings() -> None:
    config = TrainConfig(**SMALL)
    parent = start(config, H36M_16, 0).checkpoint(("a",))
    child = start(config, H36M_16, 1, parent)
    for name, tensor in child.lifter.state_dict().items():
        assert torch.equal(tensor, parent.weights[name])
    assert child.checkpoint(("b", "a"), parent).sessions == ("a", "b")
    alone = start(config, H36M_16, 1)
    assert not torch.equal(alone.lifter.state_dict()["stem.weight"], parent.weights["stem.weight"])


def test_a_parent_of_another_shape_or_joint_set_is_refused_with_both() -> None:
    config = TrainConfig(**SMALL)
    shape = config.shape(H36M_16)
    parent = start(TrainConfig(**SMALL | {"width": 48}), H36M_16, 0).checkpoint(("a",))
    with pytest.raises(Refusal, match="the parent is a lifter of width 48, expected width 32"):
        check_parent(parent, shape, H36M_16)
    with pytest.raises(Refusal, match="the parent lifts joint set coco-17, expected h36m-16"):
        check_parent(replace(parent, joint_set="coco-17"), shape, H36M_16)
    same = start(config, H36M_16, 0).checkpoint(("a",))
    windows = TrainConfig(**SMALL | {"variant": "stage3", "frames": 5}).shape(H36M_16)
    check_parent(same, windows, H36M_16)
    assert windows.frames != same.shape["frames"]


def test_a_checkpoint_of_weights_alone_is_refused_as_a_run_to_go_on_with() -> None:
    config = TrainConfig(**SMALL)
    slim = start(config, H36M_16, 0).checkpoint(("a",)).slim()
    with pytest.raises(Refusal, match="holds weights and no run to go on with"):
        resume(config, H36M_16, slim)
