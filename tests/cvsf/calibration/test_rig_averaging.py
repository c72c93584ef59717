"""Many rigs of the same cameras, laid over each other and averaged."""

import numpy as np

from cvsf.calibration.rig_averaging import agreed_centres, lay_over
from cvsf.multiview.rotation import turn


def test_rigs_that_disagree_with_the_others_do_not_change_the_agreed_centres() -> None:
    random = np.random.default_rng(0)
    rig = random.normal(size=(5, 3))
    turns = turn(random.normal(size=(20, 3)))
    scale = random.uniform(0.5, 2, 20)
    rigs = scale[:, None, None] * rig @ np.swapaxes(turns, -1, -2) + random.normal(size=(20, 1, 3))
    rigs[:6] += random.normal(size=(6, 5, 3))
    known = random.random((20, 5)) > 0.1
    centres, agreed = agreed_centres(rigs, known, np.zeros(20))
    assert not agreed[:6].any()
    rotation, shift, size = lay_over(rig[None], centres, np.ones((1, 5), bool))
    laid = size[0] * rig @ rotation[0].T + shift[0]
    assert np.allclose(laid, centres, atol=1e-6)


def test_points_turned_scaled_and_shifted_are_aligned_with_where_they_came_from() -> None:
    random = np.random.default_rng(1)
    points, rotation = random.normal(size=(4, 3)), turn(np.array([0.4, -2.0, 1.0]))
    target = 2.5 * points @ rotation.T + [10.0, -3.0, 1.0]
    target[3] = 1e6
    known = np.array([[True, True, True, False]])
    found, shift, scale = lay_over(points[None], target, known)
    np.testing.assert_allclose(found[0], rotation, atol=1e-9)
    np.testing.assert_allclose(shift[0], [10.0, -3.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(scale, 2.5)


def test_a_camera_that_most_rigs_lack_is_still_placed_from_those_that_have_it() -> None:
    rig = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0], [0, 0, 5]])
    rigs = np.repeat(rig[None], 10, 0)
    known = np.ones((10, 4), bool)
    known[2:, 3] = False
    rigs[2:, 3] = 77.0  # whatever stands there is not read
    centres, agreed = agreed_centres(rigs, known, np.zeros(10))
    assert agreed.any()
    np.testing.assert_allclose(centres, rig, atol=1e-9)
