"""The configuration of a training: what is read of a file, and what does not go together."""

import json
from pathlib import Path
from typing import Any

import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import SMALL
from train.config import training_config


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"frames": 4}, "odd number"),
        ({"variant": "baseline"}, "windows are"),
        ({"roll_deg": 5.0}, "projects bodies again"),
    ],
)
def test_windows_are_refused_with_even_frames_another_variant_or_a_roll(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(SMALL | {"frames": 5} | changed))
    with pytest.raises(Refusal, match=said):
        training_config(str(path), changed.get("variant", "stage3"))


def test_a_file_changes_what_it_names_and_the_variant_is_the_commands(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"steps": 70, "variant": "s1"}))
    found = training_config(str(path), "s1s2")
    assert found == training_config(None, "s1s2").model_copy(update={"steps": 70})
    assert training_config(None, "stage3").shape_weight == 1
    assert training_config(None, "s1").shape_weight == 0


def test_the_papers_network_has_a_rotation_vector_and_no_fixed_bones() -> None:
    shape = training_config("paper", "s1s2").shape(H36M_16)
    assert (shape.joints, shape.width, shape.rotation) == (16, 1024, "axis-angle")
    assert shape.parents == shape.mirrored == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"stepz": 1}', "stepz"),
        ('{"steps": 0}', "greater than 0"),
        ("{", "Expecting property name"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_training_configuration_is_refused(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    path = tmp_path / "c.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(Refusal, match=sentence) as refused:
        training_config(str(path), "s1")
    assert "variants are baseline, s1, s1s2, stage3, supervised" in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "variant", "sentence"),
    [
        ({"rotation": "axis-angle"}, "s1", "set sides_alike false"),
        ({"stage2_earliest": 0.9}, "s1s2", "at most stage2_latest"),
        ({"frames": 3, "rehearsal_weight": 1.0}, "stage3", "only single frames are rehearsed"),
        ({"bodies": "virtual"}, "s1", "synthetic bodies are for variant supervised"),
    ],
)
def test_values_that_exclude_each_other_are_refused_by_name(
    tmp_path: Path, changed: dict[str, Any], variant: str, sentence: str
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(changed))
    with pytest.raises(Refusal, match=sentence):
        training_config(str(path), variant)
