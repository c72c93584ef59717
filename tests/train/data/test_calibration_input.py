"""What calibration is given of a file or a session: cut, sorted, lifted, and the truth apart."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.system.errors import Refusal
from tests.support.filmed import engine
from tests.support.material import make_instant, make_pose, record
from tests.support.walkers import RATE_HZ, WALKERS, walkers
from train.data.calibration_input import (
    IgnoredSeconds,
    calibration_inputs,
    ignored_seconds,
    read_observations,
)
from train.data.read import Choice


def test_a_session_is_cut_to_its_first_views_and_seconds_and_the_truth_likewise(
    tmp_path: Path,
) -> None:
    whole = read_observations(walkers(tmp_path / "w.npz", frames=8), Choice())
    assert len(whole.sessions) == len(WALKERS)
    assert whole.cameras == ("cam0", "cam1", "cam2", "cam3")
    inputs = calibration_inputs(whole, engine(), views=3, seconds=5 / RATE_HZ)
    for number, filmed in enumerate(inputs):
        assert filmed.name == f"w:{number}"
        assert filmed.observations.cameras == ("cam0", "cam1", "cam2")
        assert filmed.observations.confidence.shape == (6, 3, 16)
        assert filmed.fused.shape == (6, 16, 3)
        assert filmed.duration_s == pytest.approx(5 / RATE_HZ)
        assert filmed.truth is not None
        assert filmed.truth.joints_mm is not None
        assert filmed.truth.joints_mm.shape == (6, 3, 16, 3)
        assert filmed.truth.rig is not None
        assert filmed.truth.rig.projection.shape == (6, 3, 3, 4)


def test_ignored_seconds_of_a_view_have_no_confidence_in_any_session(tmp_path: Path) -> None:
    whole = read_observations(walkers(tmp_path / "w.npz", frames=8), Choice())
    ignored = ignored_seconds([f"cam1={2 / RATE_HZ}-{4 / RATE_HZ}"], whole.cameras)
    for filmed in calibration_inputs(whole, engine(), views=4, ignored=ignored):
        seen = filmed.observations.confidence.any(-1)
        assert np.argwhere(~seen).tolist() == [[2, 1], [3, 1]]
    assert (whole.confidence > 0).any(-1).all()


def test_seconds_to_ignore_are_understood_or_refused() -> None:
    cameras = ("left", "a=b")
    assert ignored_seconds(["a=b=12.0-14.5"], cameras) == [IgnoredSeconds(1, 12.0, 14.5)]
    with pytest.raises(Refusal, match="of 'right', expected one of left"):
        ignored_seconds(["right=1-2"], cameras)
    for words in ("left=2-1", "left=1", "left=a-b", "left=-1-2"):
        with pytest.raises(Refusal, match="CAMERA=FROM-TO"):
            ignored_seconds([words], cameras)


def test_instants_out_of_order_are_calibrated_in_the_order_of_their_times(tmp_path: Path) -> None:
    whole = walkers(tmp_path / "w.npz", frames=6)
    with np.load(whole) as read:
        found = {name: read[name] for name in read.files}
    order = np.random.default_rng(0).permutation(len(found["t_s"]))
    mixed = {n: a[order] if len(a) == len(order) else a for n, a in found.items()}
    (tmp_path / "mixed").mkdir()
    np.savez(tmp_path / "mixed" / "w.npz", allow_pickle=False, **mixed)
    one, other = (
        {
            f.name: f
            for f in calibration_inputs(read_observations(path, Choice()), engine(), views=4)
        }
        for path in (whole, tmp_path / "mixed" / "w.npz")
    )
    assert one.keys() == other.keys()
    for name in one:
        ours, theirs = one[name].observations, other[name].observations
        assert (np.diff(theirs.t_s) > 0).all()
        assert np.array_equal(ours.t_s, theirs.t_s)
        assert np.array_equal(ours.keypoints_px, theirs.keypoints_px)
        a, b = one[name].truth, other[name].truth
        assert a is not None
        assert b is not None
        assert a.joints_mm is not None
        assert b.joints_mm is not None
        assert np.array_equal(a.joints_mm, b.joints_mm)


def test_a_recorded_session_keeps_the_names_of_its_cameras_and_has_no_truth(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    record(folder, [make_pose(index, ("left", "right")) for index in range(4)])
    (filmed,) = calibration_inputs(read_observations(folder, Choice()), engine(), views=2)
    assert (filmed.name, filmed.observations.cameras) == ("run", ("left", "right"))
    assert filmed.truth is None


def test_recordings_without_the_chosen_subjects_or_without_poses_are_refused(
    tmp_path: Path,
) -> None:
    file = walkers(tmp_path / "w.npz", frames=2)
    with pytest.raises(Refusal, match=r"no instant of .*w\.npz is of the chosen subjects"):
        read_observations(file, Choice(names=("carl",)))
    record(tmp_path / "run", [make_instant(0)])
    with pytest.raises(Refusal, match="run holds no 2D poses; record with --record"):
        read_observations(tmp_path / "run", Choice())
    with pytest.raises(Refusal, match="run has no subjects"):
        read_observations(tmp_path / "run", Choice(names=("ann",)))
