"""Whether skeletons have the shape that the lifter sees."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from cvsf.diagnosis.attempt import Options, attempt
from cvsf.diagnosis.lifted_shape import shape_difference
from tests.support.wandering import wandering


def test_skeletons_of_right_cameras_have_the_lifted_shape_and_mirror_images_do_not(
    tmp_path: Path,
) -> None:
    seen = wandering(tmp_path, frames=90).seen()
    found = attempt(seen, Options())
    assert found.calibration is not None
    assert found.reconstruction is not None
    joints = found.reconstruction.joints
    same = shape_difference(seen, found.calibration, joints)
    mirrored = shape_difference(seen, found.calibration, joints * np.array([1, 1, -1]))
    assert same < 0.2
    assert mirrored > same + 0.1
    assert shape_difference(seen, found.calibration, np.full_like(joints, np.nan)) == 0


def test_a_lifter_that_has_not_learned_is_no_evidence(tmp_path: Path) -> None:
    seen = wandering(tmp_path, frames=60).seen()
    found = attempt(seen, Options())
    assert found.calibration is not None
    assert found.reconstruction is not None
    random = np.random.default_rng(1)
    poses = random.normal(size=seen.canonical.shape).astype(np.float32)
    untrained = replace(seen, canonical=poses)
    assert shape_difference(untrained, found.calibration, found.reconstruction.joints) == 0
