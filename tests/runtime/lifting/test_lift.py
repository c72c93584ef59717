"""One instant's 2D poses to one skeleton: measured, predicted, or none."""

from dataclasses import replace

import numpy as np
import pytest

from cvsf.engine.engine import Engine, load_engine
from cvsf.messages import MultiviewPose
from runtime.lifting.lift import lift
from tests.support.engines import tiny
from tests.support.material import make_pose


def blind(pose: MultiviewPose, *views: int) -> MultiviewPose:
    confidence = pose.confidence.copy()
    confidence[list(views)] = 0
    return replace(pose, confidence=confidence)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load_engine(tiny(tmp_path_factory.mktemp("engine") / "tiny", "tiny", spread=0.1))


def test_a_pose_in_which_nobody_is_seen_is_not_lifted(engine: Engine) -> None:
    assert lift(engine, blind(make_pose(0), 0, 1), 7) is None


def test_a_skeleton_of_two_views_is_measured_and_names_its_views(engine: Engine) -> None:
    pose = make_pose(3)
    found = lift(engine, pose, 7)
    assert found is not None
    lifted, skeleton = found
    assert skeleton is not None
    assert (skeleton.t_ns, skeleton.instant) == (pose.t_ns, 3)
    assert (skeleton.engine, skeleton.uncertainty_ns) == ("tiny", 7)
    assert (skeleton.views, skeleton.measured) == (("cam0", "cam1"), True)
    assert np.array_equal(skeleton.joints, lifted.fused)


def test_a_skeleton_of_one_view_is_flagged_as_predicted(engine: Engine) -> None:
    found = lift(engine, blind(make_pose(3), 0), 0)
    assert found is not None
    assert found[1] is not None
    assert (found[1].views, found[1].measured) == (("cam1",), False)


def test_an_engine_that_gives_no_numbers_leaves_the_views_and_no_skeleton(engine: Engine) -> None:
    pose = make_pose(3)
    pose.keypoints_px[0, 0] = np.nan
    found = lift(engine, pose, 0)
    assert found is not None
    assert not np.isfinite(found[0].fused).all()
    assert found[1] is None
