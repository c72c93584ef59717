"""An engine on placed sessions, by bodies and a lifter whose errors are known by hand."""

import numpy as np
import pytest

from cvsf.skeleton import H36M_16, Array
from train.batches.probe_inputs import STANDING
from train.batches.synthetic_motions import MOVEMENTS, PHASES
from train.data.instants import PseudoLabels, Recordings
from train.evaluation.score_lifter import Lift
from train.night.label_free_evaluation import blocks, evaluate, reference

BODY = np.array([STANDING[joint] for joint in H36M_16.joints], np.float32)
LEFT_WRIST = H36M_16.index("lwrist")


def session(frames: int = 4, views: int = 2) -> Recordings:
    """A body that stands still; in the last instant the second view did not see it."""
    shape = (frames, views, len(BODY))
    confidence = np.ones(shape, np.float32)
    confidence[-1, 1] = 0
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(views)),
        keypoints_px=np.zeros((*shape, 2), np.float32),
        confidence=confidence,
        image_px=np.zeros((frames, views, 2), np.float32),
        session=("run",) * frames,
        subject=("",) * frames,
        t_s=np.linspace(5, 5 + 0.4 * (frames - 1), frames),
        pseudo_labels=PseudoLabels(
            joints=np.broadcast_to(BODY, (*shape, 3)).copy(),
            deviation=np.zeros(shape, np.float32),
            residual=np.zeros((*shape, 2), np.float32),
            up=np.zeros((frames, views, 3), np.float32),
            focal_px=np.zeros((frames, views), np.float32),
        ),
    )


def says(body: Array) -> Lift:
    """A lifter that answers everything with one body."""

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        count, views = confidence.shape[:2]
        return {
            "canonical": np.tile(body, (count, views, 1, 1)),
            "view_from_canonical": np.tile(np.eye(3, dtype=np.float32), (count, views, 1, 1)),
            "fused": np.tile(body, (count, 1, 1)),
        }

    return lift


def test_instants_belong_to_the_seconds_of_their_session() -> None:
    assert blocks(session(6)).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_lifter_that_returns_the_placed_body_scaled_and_moved_has_no_error() -> None:
    found = evaluate(says(3 * BODY + np.float32(0.5)), session())
    assert found.poses.shape == (4, 2, len(BODY), 3)
    for name, share in found.means().items():
        assert share == pytest.approx(0, abs=1e-5), name


def test_one_joint_that_is_off_is_off_in_one_view_and_fused_alike() -> None:
    wrong = BODY.copy()
    wrong[LEFT_WRIST, 0] += 0.32
    found = evaluate(says(wrong), session())
    a, b = (body.astype(np.float64) - body[0] for body in (wrong, BODY))
    scale = (a * b).sum() / (a * a).sum()
    wanted = np.linalg.norm(scale * a - b, axis=-1).mean()
    np.testing.assert_allclose(found.one_view, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.fused, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.views_apart, 0, atol=1e-6)


def test_the_reference_is_of_all_everyday_movements_and_always_the_same() -> None:
    one, again = (reference(says(BODY)) for _ in range(2))
    assert one == again
    assert one["instants"] == 4 * PHASES * len(MOVEMENTS)
    assert one["n_mpjpe_mm"] > 100  # one body for all movements and views
