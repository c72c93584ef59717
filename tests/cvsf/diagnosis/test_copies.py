"""One film given twice is one view."""

import numpy as np
import pytest

from cvsf.calibration.degeneracy import Undetermined
from cvsf.diagnosis.calibrate_take import calibrate_take
from cvsf.diagnosis.copies import copies
from tests.support.rehearsed import Rehearsed


def test_a_view_with_the_keypoints_of_another_is_its_copy(short_walk: Rehearsed) -> None:
    seen = short_walk.seen()
    assert copies(seen) == {}
    assert copies(seen.of_views([0, 1, 0, 1, 1])) == {2: 0, 3: 1, 4: 1}
    another = seen.of_views([0, 1, 0])
    noise = np.random.default_rng(3).normal(0, 1, another.keypoints_px[:, 2].shape)
    another.keypoints_px[:, 2] += noise.astype(np.float32)  # a second detector
    assert copies(another) == {}


def test_a_film_given_twice_is_refused(short_walk: Rehearsed) -> None:
    twice = short_walk.seen().of_views([0, 0])
    with pytest.raises(Undetermined, match="is the same film given twice"):
        calibrate_take(twice)
