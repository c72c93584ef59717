"""Many rigs of the same cameras, aligned and averaged."""

import numpy as np

from cvsf.calibration.rig_averaging import average_centres
from cvsf.multiview.rotation import align, rotation_from_vector


def test_rigs_that_disagree_with_the_others_do_not_change_the_agreed_centres() -> None:
    random = np.random.default_rng(0)
    rig = random.normal(size=(5, 3))
    turns = rotation_from_vector(random.normal(size=(20, 3)))
    scale = random.uniform(0.5, 2, 20)
    rigs = scale[:, None, None] * rig @ np.swapaxes(turns, -1, -2) + random.normal(size=(20, 1, 3))
    rigs[:6] += random.normal(size=(6, 5, 3))
    known = random.random((20, 5)) > 0.1
    centres, agreed = average_centres(rigs, known, np.zeros(20))
    assert not agreed[:6].any()
    aligned = align(rig, centres, scale=True).apply(rig)
    assert np.allclose(aligned, centres, atol=1e-6)


def test_a_camera_that_most_rigs_lack_is_still_placed_from_those_that_have_it() -> None:
    rig = np.array([[0.0, 0, 0], [4, 0, 0], [0, 3, 0], [0, 0, 5]])
    rigs = np.repeat(rig[None], 10, 0)
    known = np.ones((10, 4), bool)
    known[2:, 3] = False
    rigs[2:, 3] = 77.0  # whatever stands there is not read
    centres, agreed = average_centres(rigs, known, np.zeros(10))
    assert agreed.any()
    np.testing.assert_allclose(centres, rig, atol=1e-9)
