"""The One Euro filter: steady at rest, prompt in motion, and no memory of another stream."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from cvsf.messages import Skeleton
from cvsf.skeleton import H36M_16
from runtime.streaming.one_euro import OneEuro

_PERIOD_NS = 50_000_000
_J = len(H36M_16)


def _skeleton(instant: int, joints: npt.NDArray[np.float64], **changed: object) -> Skeleton:
    skeleton = Skeleton(
        t_ns=1 + instant * _PERIOD_NS,
        uncertainty_ns=0,
        instant=instant,
        engine="lifter",
        joints=joints.astype(np.float32),
        confidence=np.ones(_J, np.float32),
        views=("cam0", "cam1"),
        measured=True,
    )
    return replace(skeleton, **changed)  # type: ignore[arg-type]


def _pose(instant: int) -> npt.NDArray[np.float64]:
    joints = np.zeros((_J, 3))
    joints[1] = (1.0, 0.0, 0.0)
    turn = 2 * np.pi * 0.7 * instant * _PERIOD_NS * 1e-9  # a limb circling at 0.7 Hz
    joints[2] = (0.5 * np.sin(turn), 0.5 * np.cos(turn), 0.0)
    return joints


def test_a_joint_at_rest_shakes_less_than_half_as_much() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, (300, _J, 3))
    smooth = OneEuro()
    seen = np.array([smooth(_skeleton(i, _pose(i) + noise[i])).joints[1] for i in range(300)])
    shaking = np.diff(seen[40:], axis=0).std() / np.diff(noise[40:, 1], axis=0).std()
    assert shaking < 0.6  # the pelvis' own noise, filtered apart, is in it too


def test_a_moving_limb_lags_less_than_half_a_period_of_the_camera() -> None:
    smooth = OneEuro()
    seen = np.array([smooth(_skeleton(i, _pose(i))).joints[2] for i in range(200)])[40:]
    true = np.array([_pose(i)[2] for i in range(200)])[40:]
    phase = np.angle(np.sum((true[:, 0] + 1j * true[:, 1]) * np.conj(seen[:, 0] + 1j * seen[:, 1])))
    assert abs(phase) / (2 * np.pi * 0.7) < 0.025


def test_a_skier_who_crosses_the_world_at_15_m_per_s_still_has_steady_limbs() -> None:
    noise = np.random.default_rng(2).normal(0, 0.02, (300, _J, 3))
    noise[:, 0] = 0.0
    smooth = OneEuro()
    limbs = []
    for i in range(300):
        travelled = np.array([15.0, 0.0, 0.0]) * i * _PERIOD_NS * 1e-9
        seen = smooth(
            _skeleton(i, _pose(i) + noise[i] + travelled, frame_of_reference="world")
        ).joints
        limbs.append(seen[1] - seen[0])
    assert np.diff(np.array(limbs)[40:], axis=0).std() < 0.55 * np.diff(noise[40:, 1], axis=0).std()


@pytest.mark.parametrize(
    "changed",
    [
        {"person_id": 7},
        {"frame_of_reference": "world"},
        {"scale_source": "stature"},
        {"t_ns": 1 + 10 * _PERIOD_NS + 600_000_000},
        {"t_ns": 1},
    ],
)
def test_another_stream_or_a_gap_restarts_the_filter(changed: dict[str, object]) -> None:
    smooth = OneEuro()
    for i in range(10):
        smooth(_skeleton(i, np.zeros((_J, 3))))
    jumped = _skeleton(10, np.ones((_J, 3)), **changed)
    assert np.array_equal(smooth(jumped).joints, jumped.joints)


def test_a_smoothed_skeleton_is_flagged_and_keeps_everything_else() -> None:
    raw = _skeleton(3, _pose(3))
    smoothed = OneEuro()(raw)
    assert smoothed.smoothed
    assert not raw.smoothed
    assert (smoothed.t_ns, smoothed.engine, smoothed.views) == (raw.t_ns, raw.engine, raw.views)


def test_turning_the_axes_turns_the_smoothed_joints_and_nothing_else() -> None:
    quarter = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    one, other = OneEuro(), OneEuro()
    for i in range(30):
        straight = one(_skeleton(i, _pose(i))).joints
        turned = other(_skeleton(i, _pose(i) @ quarter.T)).joints
        assert np.allclose(straight @ quarter.T, turned, atol=1e-5)
