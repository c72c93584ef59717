"""An ONNX network at work, held to what its manifest has of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from runtime.detection.bundle import MANIFEST, load_bundle
from runtime.detection.detector import Detector
from runtime.detection.network import Network
from tests.support.generated_bundle import generated


def _detector(folder: Path) -> Detector:
    return Detector(load_bundle(str(folder), folder / "data", offline=True))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": "picture"}, "has the inputs image, its manifest has picture"),
        ({"outputs": ["maps"]}, "has the outputs heatmaps, its manifest has maps"),
        ({"size_px": [96, 96]}, "its manifest has"),
        ({"dtype": "uint8", "std": [1], "mean": [0]}, "its manifest has uint8"),
        ({"layout": "NHWC"}, "its manifest has"),
    ],
)
def test_a_network_unlike_its_manifest_is_refused(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    folder = generated("sim-skier", tmp_path)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["pose"] |= change
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(Refusal, match=sentence):
        _detector(folder)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    folder = generated("sim-skier", tmp_path)
    (folder / "pose.onnx").write_bytes(b"not a network")
    with pytest.raises(Refusal, match="not a network that ONNX Runtime can load"):
        _detector(folder)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """The pose network of the simulated skier, generated."""
    bundle = load_bundle(str(generated("sim-skier", tmp_path)), tmp_path / "data", offline=True)
    return Network(bundle.manifest.networks["pose"], bundle.files["pose"])


def test_the_input_has_room_for_as_many_pictures_as_are_asked_for(network: Network) -> None:
    width, height = network.manifest.size_px
    planes = network.manifest.channels
    assert network.buffer(3).shape == (3, planes, height, width)
    assert network.buffer(1).shape == (1, planes, height, width)
    assert network.buffer(1).dtype == network.manifest.dtype
    assert network.backend.startswith("onnxruntime")


def test_a_batch_gives_what_each_of_its_pictures_gives_alone(network: Network) -> None:
    batch = network.buffer(3)
    batch[:] = np.random.default_rng(0).uniform(0, 1, batch.shape)
    together = network.run(batch)
    for n in range(3):
        for all_outputs, output in zip(together, network.run(batch[n : n + 1]), strict=True):
            np.testing.assert_allclose(all_outputs[n], output[0], rtol=1e-4, atol=1e-5)


def test_a_network_without_tensorrt_has_no_plan_to_build(network: Network) -> None:
    before = network.backend
    network.build_plan()
    assert network.backend == before
