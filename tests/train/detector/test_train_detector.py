"""The small 2D network: its targets, its pictures, its training and what it exports."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.detector.pictures import shots
from train.detector.train_detector import train_detector

JOINTS = len(H36M_16)


@pytest.mark.slow
def test_a_training_reaches_its_scores_and_exports_networks_for_any_batch(
    drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train_detector(
        pictures=drawn,
        out=tmp_path,
        minutes=0.25,
        seeds="0:6",
        held_out="90:92",
        as_json=True,
    )
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["held_out"]
    assert figures["pictures"] == len(list(shots(drawn, range(90, 92))))
    assert figures["box_found_share"] > 0.7
    assert figures["pck_0_1"] > 0.6
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["held_out"]["pck_0_05"] == figures["pck_0_05"]
    assert manifest["detector"]["bytes"] + manifest["pose"]["bytes"] <= 3e6
    session = onnxruntime.InferenceSession(tmp_path / "pose.onnx")
    image = np.zeros((5, 3, 128, 128), np.float32)
    (heatmaps,) = session.run(["heatmaps"], {"image": image})
    assert heatmaps.shape == (5, JOINTS, 32, 32)
    assert 0 <= heatmaps.min() <= heatmaps.max() <= 1


def test_a_training_from_missing_weights_is_refused(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="weights"):
        train_detector(pictures=drawn, out=tmp_path / "b", start_from=tmp_path / "nowhere")


def test_seeds_both_trained_on_and_held_out_are_refused(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="apart"):
        train_detector(pictures=drawn, out=tmp_path / "c", seeds="0:6", held_out="5:7")


def test_seeds_of_the_benches_are_refused_for_training(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="benches"):
        train_detector(pictures=drawn, out=tmp_path / "e", seeds="1000000:1000100")


def test_a_malformed_span_is_refused_with_an_example(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="FIRST:END"):
        train_detector(pictures=drawn, out=tmp_path / "d", seeds="all")
