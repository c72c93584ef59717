"""HumanCalib's process: what it is given, what is read from it, and what is refused; a stub stands
in for it.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import load_engine
from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.system.errors import Refusal
from tests.support.walkers import RATE_HZ, walkers
from train.bench import run_humancalib as module
from train.bench.run_humancalib import require_humancalib, run_humancalib
from train.data.calibration_input import calibration_inputs
from train.data.npz import read_file

PYTHON = Path(sys.executable)
STUB = """
import json, sys
import numpy as np
given = np.load(sys.argv[1], allow_pickle=False)
views, count = len(given["K"]), len(given["poses"])
np.savez({kept!r}, **given)
joints = [[[0.5, None, 2.0]] * 16] * count
found = dict(view_from_world=[np.eye(3).tolist()] * views, joints=joints, seconds=1.5)
found["translation"] = [[1.0, 2.0, 3.0]] * views
found["kept_stage"] = "stub"
open(sys.argv[2], "w").write(json.dumps(found))
"""


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> tuple[LiftedObservations, GroundTruth]:
    file = walkers(tmp_path_factory.mktemp("walkers") / "walkers.npz", frames=10)
    session = next(calibration_inputs(read_file(file), load_engine(None), 3))
    assert session.truth is not None
    return session.observations, session.truth


def test_the_peer_is_given_true_matrices_the_same_2d_and_our_lifters_poses(
    take: tuple[LiftedObservations, GroundTruth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observations, truth = take
    assert truth.rig is not None
    kept = tmp_path / "kept.npz"
    (tmp_path / "stub.py").write_text(STUB.format(kept=str(kept)))
    monkeypatch.setattr(module, "_DRIVER", tmp_path / "stub.py")
    found = run_humancalib(PYTHON, observations, truth.rig)
    assert found is not None
    with np.load(kept, allow_pickle=False) as given:
        np.testing.assert_allclose(given["K"], [[[1500, 0, 960], [0, 1500, 540], [0, 0, 1]]] * 3)
        np.testing.assert_allclose(given["keypoints_px"], observations.keypoints_px)
        np.testing.assert_allclose(given["confidence"], observations.confidence)
        assert float(given["rate_hz"]) == pytest.approx(RATE_HZ)
        assert given["size_px"].tolist() == [1920, 1080]
        np.testing.assert_allclose(mean_bone(given["poses"], observations.joint_set), 0.25)
        upright = given["poses"][:, :, observations.joint_set.index("head"), 1]
        assert (upright < given["poses"][:, :, 0, 1]).all()  # y is down
    np.testing.assert_allclose(found.rig.translation, [[1, 2, 3]] * 3)
    np.testing.assert_allclose(found.rig.focal_px, [1500] * 3)
    assert found.joints.shape == (10, 16, 3)
    assert np.isnan(found.joints[..., 1]).all()
    assert (found.joints[..., 2] == 2).all()
    assert found.seconds == 1.5


def test_a_peer_that_gives_up_or_writes_nothing_gives_no_cameras(
    take: tuple[LiftedObservations, GroundTruth], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    observations, truth = take
    assert truth.rig is not None
    monkeypatch.setattr(module, "_DRIVER", tmp_path / "stub.py")
    for text in ("raise SystemExit(1)", ""):
        (tmp_path / "stub.py").write_text(text)
        assert run_humancalib(PYTHON, observations, truth.rig) is None


def test_a_python_without_humancalib_and_none_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"does not import humancalib; make an environment"):
        require_humancalib(PYTHON)
    with pytest.raises(Refusal, match=r"which cannot be run \(No such file or directory\)"):
        require_humancalib(tmp_path / "python")
