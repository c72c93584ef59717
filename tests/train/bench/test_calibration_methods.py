"""The methods of `cvsf bench calibrate`: what each is told, and how others' cameras are scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.lenses import WRONG
from cvsf.engine.engine import load_engine
from cvsf.multiview.rig import Rig
from tests.support.made_calibration import calibration_of
from tests.support.walkers import walkers
from train.bench import calibration_methods
from train.bench.calibration_methods import (
    HUMANCALIB,
    HUMANCALIB_RIG,
    TRUE_CAMERAS,
    Case,
    methods,
    says_wrong,
    true_intrinsics,
)
from train.bench.run_humancalib import PeerResult
from train.data.calibration_input import calibration_inputs
from train.data.npz import read_file


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    file = walkers(tmp_path_factory.mktemp("walkers") / "walkers.npz", frames=30)
    session = next(calibration_inputs(read_file(file), load_engine(None), 3))
    assert session.truth is not None
    assert session.truth.rig is not None
    return Case(session=session, truth=session.truth, rig=session.truth.rig, is_long=True)


def found(case: Case, *, turned: bool = False) -> PeerResult:
    """The true cameras and skeletons, in a world that is turned over and ten times as small."""
    R = np.diag([1.0, -1, -1])
    still = case.rig.rows(0)
    rig = Rig.pinhole(
        still.cameras,
        still.image_px,
        view_from_world=still.view_from_world @ R.T,
        centres=0.1 * still.centres @ R.T,
        focal_px=still.focal_px,
    )
    if turned:
        away = rig.view_from_world.copy()
        angle = np.radians(3)
        c, s = np.cos(angle), np.sin(angle)
        away[0] = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ away[0]
        rig = replace(rig, view_from_world=away)
    return PeerResult(rig=rig, joints=0.1 * case.truth.world_mm @ R.T, seconds=2.5)


def test_humancalib_is_a_method_only_where_its_python_is_named() -> None:
    assert len(methods(Path("python"))) == len(methods(None)) + 1


def test_true_intrinsics_are_those_of_the_true_cameras_and_may_be_made_wrong(case: Case) -> None:
    given = true_intrinsics(case.rig, 0.95)
    np.testing.assert_allclose(given.focal_px, 0.95 * 1500)
    np.testing.assert_allclose(given.centre_px, np.tile([960.0, 540.0], (3, 1)))
    assert not given.distortion.any()
    assert given.is_known.all()


def test_a_calibration_says_wrong_only_of_a_given_lens(case: Case) -> None:
    calibration = calibration_of(case.rig.rows(0))
    assert not says_wrong(calibration)
    assert not says_wrong(replace(calibration, lenses={"cam0": "distortion found, k1 -0.30"}))
    wrong = WRONG.format(1425, 1500)
    assert says_wrong(replace(calibration, lenses={"cam1": wrong}))


def test_triangulation_with_true_cameras_has_skeletons_and_no_errors_of_cameras(
    case: Case,
) -> None:
    scores = methods(None)[-1](case)[TRUE_CAMERAS]
    assert scores is not None
    assert (scores.rotation_deg, scores.centre_share) == ((), ())
    assert scores.errors is not None
    assert 0 < scores.errors.n_mm / scores.errors.count < 30
    assert scores.seconds > 0


def test_a_peers_cameras_are_scored_in_any_world_with_its_skeletons_and_with_ours(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_methods, "run_humancalib", lambda *_: found(case))
    scores = methods(Path("python"))[-1](case)
    own, robust = scores[HUMANCALIB], scores[HUMANCALIB_RIG]
    assert own is not None
    assert robust is not None
    np.testing.assert_allclose(own.rotation_deg, np.zeros(3), atol=1e-3)
    np.testing.assert_allclose(own.centre_share, np.zeros(3), atol=1e-6)
    assert own.errors is not None
    assert own.errors.n_mm / own.errors.count < 0.1
    assert own.take is not None
    assert own.take.rooted_mm < 0.1
    assert own.seconds == 2.5
    assert robust.errors is not None
    assert robust.errors.n_mm / robust.errors.count > 1  # it has the noise of the keypoints
    assert robust.seconds > 2.5


def test_a_turned_camera_is_seen_in_its_pairs_and_nothing_found_gives_no_scores(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration_methods, "run_humancalib", lambda *_: found(case, turned=True))
    own = methods(Path("python"))[-1](case)[HUMANCALIB]
    assert own is not None
    np.testing.assert_allclose(own.rotation_deg, [3, 3, 0], atol=1e-3)
    monkeypatch.setattr(calibration_methods, "run_humancalib", lambda *_: None)
    assert methods(Path("python"))[-1](case) == {HUMANCALIB: None, HUMANCALIB_RIG: None}
