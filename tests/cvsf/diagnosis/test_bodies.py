"""An adult who is followed by a child: cameras, own bones and skeletons of each."""

import numpy as np
import pytest

from cvsf.calibration.calibrate import calibrate
from cvsf.calibration.degeneracy import Undetermined
from cvsf.calibration.metric_scale import Scale
from cvsf.calibration.world_frame import to_world_frame
from cvsf.diagnosis.bodies import separate_bodies
from cvsf.multiview.calibration import Calibration, from_plain, to_plain
from cvsf.multiview.observations import LiftedObservations
from cvsf.reconstruction.reconstruct import reconstruct
from tests.support.followed import followed
from tests.support.reconstruction_errors import errors_mm, limit_mm
from tests.support.rehearsed import Rehearsed

SHARE = 0.6


@pytest.fixture(scope="module")
def both(walk: Rehearsed) -> Rehearsed:
    return followed(walk, SHARE)


@pytest.fixture(scope="module")
def found(both: Rehearsed) -> Calibration:
    separated = separate_bodies(both.seen(), None, calibrate)
    assert separated is not None
    return separated


def test_adult_and_child_have_their_own_bones(found: Calibration) -> None:
    assert found.people is not None
    adult, child = found.people.bodies
    assert child.bones.sum() / adult.bones.sum() == pytest.approx(SHARE, rel=0.02)
    assert adult.bones.mean() == pytest.approx(1, abs=0.01)
    assert (found.body.bones == adult.bones).all()


def test_both_are_reconstructed_as_well_as_by_triangulation(
    both: Rehearsed, found: Calibration
) -> None:
    assert errors_mm(both, found, reconstruct(both.seen(), found))[0] < 1.1 * limit_mm(both)


def test_a_known_stature_is_that_of_the_first(both: Rehearsed, found: Calibration) -> None:
    world = to_world_frame(found, reconstruct(both.seen(), found), Scale(height_m=1.8))
    assert world.people is not None
    assert (world.people.bodies[0].bones == world.body.bones).all()
    ratio = world.people.bodies[1].bones / world.body.bones
    assert ratio.mean() == pytest.approx(SHARE, rel=0.03)
    assert from_plain(to_plain(world)).people is not None


def test_cameras_that_one_body_gave_are_adjusted_with_two(both: Rehearsed) -> None:
    true = both.true_calibration(0)
    separated = separate_bodies(both.seen(), true, calibrate)
    assert separated is not None
    assert np.abs(separated.rig.focal_px / true.rig.focal_px - 1).max() < 0.1


def test_one_person_stays_one(walk: Rehearsed, seen: LiftedObservations) -> None:
    assert separate_bodies(seen, walk.true_calibration(0), calibrate) is None
    assert separate_bodies(seen, None, calibrate) is None


def test_parts_that_cannot_be_fitted_show_nobody(both: Rehearsed) -> None:
    def refuse(_: LiftedObservations) -> Calibration:
        raise Undetermined("too few instants")

    assert separate_bodies(both.seen(), None, refuse) is None


def test_panning_cameras_keep_one_body(both: Rehearsed) -> None:
    panning = both.true_calibration(slice(None))
    assert separate_bodies(both.seen(), panning, calibrate) is None
