"""The configuration of a night, and of the training in it."""

from pathlib import Path

import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL
from train.config import TrainConfig
from train.loop.optimise import start
from train.night.config import NightConfig, night_config, training_of


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "night.json").write_text('{"steps": 20, "rate": 0.001}')
    found = night_config(tmp_path / "night.json")
    assert found == night_config(None).model_copy(update={"steps": 20, "rate": 0.001})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"step": 20}', r"step: Extra inputs .*expected JSON with keys of steps, rate"),
        ('{"steps": 0}', "steps: Input should be greater than 0"),
        ('{"rate": Infinity}', "rate: Input should be a finite number"),
        ("[1]", "it: Input should be a valid dictionary"),
        ("{", "Expecting property name"),
    ],
)
def test_a_file_that_is_no_configuration_of_a_night_is_refused_with_the_reason(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "night.json").write_text(text)
    with pytest.raises(Refusal, match=rf"night\.json is not the configuration of a night \({why}"):
        night_config(tmp_path / "night.json")


def test_a_missing_configuration_of_a_night_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="No such file"):
        night_config(tmp_path / "none.json")


def test_a_night_trains_its_parents_network_with_its_own_steps_and_rate() -> None:
    of_parent = TrainConfig(**SMALL | {"layer_norm": False, "rate": 0.5, "variant": "s1s2"})
    parent = start(of_parent, H36M_16, seed=0).checkpoint(())
    night = NightConfig(steps=70, rate=1e-4, rehearsal_weight=0.5, threads=2, checks=3)
    found = TrainConfig(**training_of(night, parent))
    assert found.shape(H36M_16) == of_parent.shape(H36M_16)
    assert (found.variant, found.steps, found.rate, found.threads) == ("stage3", 70, 1e-4, 2)
    assert (found.rehearsal_weight, found.checks) == (0.5, 3)
