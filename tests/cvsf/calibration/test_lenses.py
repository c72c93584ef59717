"""Known lenses are used and checked; unknown ones are estimated where the take determines them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.lenses import start_focal_px, with_lenses, wrong_lens_messages
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.intrinsics import Intrinsics
from cvsf.multiview.lens_distortion import distorted
from cvsf.multiview.observations import LiftedObservations
from tests.support.level_cameras import bent
from tests.support.rehearsed import Real, Rehearsed
from tests.support.wandering import wandering


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return walk.seen()


@pytest.fixture(scope="module")
def told_nothing(seen: LiftedObservations) -> Calibration:
    return calibrate(seen)


def given(walk: Rehearsed, share: float = 1.0, views: tuple[int, ...] = (0, 1, 2, 3)) -> Intrinsics:
    """The true lenses, with focal lengths that are `share` of the true ones, of some views."""
    count = len(walk.image_px)
    known = Intrinsics(
        focal_px=share * walk.focal_px[0],
        centre_px=walk.image_px / 2,
        distortion=np.zeros((count, 5)),
    )
    return known.without([view for view in range(count) if view not in views])


def through(walk: Rehearsed, k1: float, shift_px: float = 0.0) -> Real:
    """The keypoints as bent lenses, whose principal points are beside the middle, show them."""
    flat = (walk.keypoints_px - walk.image_px[:, None] / 2) / walk.focal_px[0][:, None, None]
    shown = distorted(flat, bent([k1] * len(walk.image_px)))
    return np.asarray(
        shown * walk.focal_px[0][:, None, None] + walk.image_px[:, None] / 2 + shift_px
    )


def test_what_is_known_of_a_lens_is_where_the_fit_begins(walk: Rehearsed) -> None:
    guess = np.full(4, 1920.0)
    assert start_focal_px(None, guess) is guess
    some = replace(given(walk, views=(1,)), distortion=bent([-0.3] * 4))
    some = some.without([0, 2, 3])
    assert start_focal_px(some, guess).tolist() == [1920, walk.focal_px[0, 1], 1920, 1920]
    rig = walk.true_calibration(0).rig
    assert with_lenses(rig, None) is rig
    assert with_lenses(rig, some).distortion[:, 0].tolist() == [0, -0.3, 0, 0]


def test_given_focal_lengths_are_kept_and_nothing_is_said(
    walk: Rehearsed, seen: LiftedObservations, told_nothing: Calibration
) -> None:
    found = calibrate(replace(seen, intrinsics=given(walk)))
    np.testing.assert_allclose(found.rig.focal_px, walk.focal_px[0], rtol=3e-3)
    assert np.abs(told_nothing.rig.focal_px / walk.focal_px[0] - 1).max() > 3e-3
    assert found.lenses == {}
    assert found.uncertainty.focal_share.max() < 2e-3


def test_of_some_given_lenses_the_others_are_estimated(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    found = calibrate(replace(seen, intrinsics=given(walk, views=(0, 2))))
    off = np.abs(found.rig.focal_px / walk.focal_px[0] - 1)
    assert off[[0, 2]].max() < 3e-3
    assert off.max() < 0.05


def test_wrong_focal_lengths_are_noticed_and_not_used(
    walk: Rehearsed, seen: LiftedObservations, told_nothing: Calibration
) -> None:
    found = calibrate(replace(seen, intrinsics=given(walk, share=1.05)))
    assert set(found.lenses) == set(seen.cameras)
    assert all("does not fit" in what for what in found.lenses.values())
    np.testing.assert_allclose(found.rig.focal_px, told_nothing.rig.focal_px, rtol=0.02)


def test_one_wrong_lens_is_named_and_what_is_found_of_it_is_said_too(walk: Rehearsed) -> None:
    known = given(walk)
    known.focal_px[1] *= 1.15
    found = calibrate(replace(walk.seen(), intrinsics=known))
    assert "cam1" in found.lenses
    both = wrong_lens_messages(replace(found, lenses={"cam1": "distortion found"}), known, [1])
    assert both["cam1"].startswith(f"given focal length {known.focal_px[1]:.0f} px does not fit, ")
    assert both["cam1"].endswith(" px found and used; distortion found")


def test_given_distortion_is_undone(walk: Rehearsed) -> None:
    bends = bent([-0.3] * 4)
    seen = walk.seen(keypoints_px=through(walk, -0.3))
    found = calibrate(replace(seen, intrinsics=replace(given(walk), distortion=bends)))
    assert (found.rig.distortion == bends).all()
    assert found.noise_share < 1.1 * calibrate(walk.seen()).noise_share


def test_k1_is_found_where_lenses_bend_and_left_alone_where_not(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    straight = calibrate(seen, lenses=True)
    assert straight.lenses == {}
    assert not straight.rig.distortion.any()
    found = calibrate(walk.seen(keypoints_px=through(walk, -0.3)), lenses=True)
    assert set(found.lenses) == set(seen.cameras)
    assert found.lenses["cam0"].startswith("distortion found, k1 -0.")
    assert np.abs(found.rig.distortion[:, 0] + 0.3).max() < 0.2
    assert np.median(np.abs(found.rig.distortion[:, 0] + 0.3)) < 0.03
    assert not found.rig.distortion[:, 1:].any()


def test_principal_points_beside_the_middle_are_found(walk: Rehearsed) -> None:
    found = calibrate(walk.seen(keypoints_px=through(walk, 0.0, 192.0)), lenses=True)
    assert "principal point found" in found.lenses["cam1"]
    away = np.linalg.norm(found.rig.centre_px - walk.image_px / 2 - 192, axis=-1)
    assert np.median(away) < 0.6 * 192 * np.sqrt(2)


def test_the_written_calibration_says_which_lenses_were_found(tmp_path: Path) -> None:
    walk = wandering(tmp_path, frames=120)
    found = calibrate(walk.seen(keypoints_px=through(walk, -0.3)), lenses=True)
    assert found.of_views([1, 2]).rig.cameras == ("cam1", "cam2")
    assert set(found.lenses) >= {"cam1", "cam2"}


def test_how_far_two_cameras_may_be_off_is_said_unless_both_lenses_are_known(
    walk: Rehearsed, seen: LiftedObservations, told_nothing: Calibration
) -> None:
    pair = seen.of_views([0, 1])
    found = calibrate(pair)
    assert found.position_within_share is not None
    assert found.position_within_share > 2 * found.uncertainty.position_share.max()
    known = calibrate(replace(pair, intrinsics=given(walk).of_views([0, 1])))
    assert known.position_within_share is None
    assert not known.lenses
    assert told_nothing.position_within_share is None


def test_two_cameras_keep_a_given_lens_and_say_what_the_movement_alone_gives(
    walk: Rehearsed, seen: LiftedObservations
) -> None:
    pair = seen.of_views([0, 1])
    wrong = given(walk, share=0.6).of_views([0, 1])
    found = calibrate(replace(pair, intrinsics=wrong))
    np.testing.assert_allclose(found.rig.focal_px, wrong.focal_px, rtol=5e-3)
    assert "two cameras cannot decide" in found.lenses["cam0"]
    assert found.position_within_share is None
