"""What a training run refuses before it reads a recording."""

from pathlib import Path
from typing import Any

import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL
from train.config import TrainConfig
from train.loop.optimise import start
from train.loop.preflight import CHECKPOINT, check, check_same


def small(**changed: Any) -> TrainConfig:
    return TrainConfig(**SMALL | changed)


def trained(path: Path, config: TrainConfig) -> Path:
    """A checkpoint of a run that has just begun."""
    path.parent.mkdir(parents=True)
    start(config, H36M_16, seed=0).checkpoint(("a",)).write(path)
    return path


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"variant": "stage3", "frames": 3}, "frames is 3 and there is no --parent"),
        ({"rehearsal_weight": 2.0}, "rehearsal_weight is 2.0 and there is no --parent"),
    ],
)
def test_windows_and_rehearsal_are_refused_without_a_parent(
    tmp_path: Path, changed: dict[str, Any], sentence: str
) -> None:
    config, out = small(**changed), tmp_path / "run"
    with pytest.raises(Refusal, match=sentence):
        check(config, out, seeds=1, minutes=None, parent=None, again=False)
    assert not out.exists()
    parent = start(small(), H36M_16, seed=0).checkpoint(("a",))
    check(config, out, seeds=1, minutes=None, parent=parent, again=False)
    assert list(out.iterdir()) == []  # made, and nothing is left of the trial


def test_a_run_of_any_of_the_seeds_that_is_there_is_refused_unless_it_goes_on(
    tmp_path: Path,
) -> None:
    trained(tmp_path / "seed-1" / CHECKPOINT, small())
    check(small(), tmp_path, seeds=1, minutes=1.0, parent=None, again=False)
    with pytest.raises(Refusal, match=r"seed-1 holds a run; add --resume"):
        check(small(), tmp_path, seeds=2, minutes=1.0, parent=None, again=False)
    check(small(), tmp_path, seeds=2, minutes=1.0, parent=None, again=True)
    with pytest.raises(Refusal, match="another configuration"):
        check(small(rate=0.1), tmp_path, seeds=2, minutes=1.0, parent=None, again=True)


def test_a_run_is_resumed_with_other_threads_and_refused_with_another_batch_size(
    tmp_path: Path,
) -> None:
    path = trained(tmp_path / "run" / CHECKPOINT, small())
    assert check_same(path, small(threads=7, device="cpu", compiled=True)).step == 0
    with pytest.raises(Refusal, match=r"\(batch_instants was 8, is 9\); give the same one"):
        check_same(path, small(batch_instants=9, width=48))
