"""The simulated skier: bodily plausible, on the snow, never out of the pictures for long."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from capture.simulator.course import GRAVITY
from capture.simulator.scene import make_slope
from capture.simulator.skier import STATURE, pose_skier
from cvsf.skeleton import H36M_16

SIZE = (640, 480)


def _stamps(period_ns: int, every_ns: int = 50_000_000) -> npt.NDArray[np.int64]:
    return np.arange(0, period_ns, every_ns, dtype=np.int64)


def _joints(seed: int, moving: bool = False) -> npt.NDArray[np.float64]:
    slope = make_slope(seed, moving)
    return pose_skier(slope.build, slope.course, _stamps(slope.course.period_ns)).joints


def _of(joints: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    joint: npt.NDArray[Any] = joints[:, H36M_16.index(name)]
    return joint


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("seed", [3, 1_000_007])
def test_the_bones_of_a_moving_skier_keep_their_lengths(seed: int, moving: bool) -> None:
    joints = _joints(seed, moving)
    for parent, child in H36M_16.bones:
        length = np.linalg.norm(joints[:, parent] - joints[:, child], axis=-1)
        assert np.ptp(length) < 1e-6


def test_every_skier_is_1_75_metres_tall() -> None:
    for seed in range(20):
        build = make_slope(seed, False).build
        sole = build.ankle - 0.045
        tall = sole + build.shank + build.thigh + build.lumbar + build.chest + build.neck
        assert tall == pytest.approx(STATURE, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_knees_point_forward_and_elbows_never_lock(seed: int) -> None:
    slope = make_slope(seed, False)
    pose = pose_skier(slope.build, slope.course, _stamps(slope.course.period_ns))
    for i, side in enumerate("lr"):
        hip, knee, ankle = (_of(pose.joints, side + j) for j in ("hip", "knee", "ankle"))
        toes = pose.ski[:, i, 1]
        assert (((knee - hip) + (knee - ankle)) * toes).sum(-1).min() > 0
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            a, b, c = (_of(pose.joints, side + j) for j in chain)
            assert _angle_deg(a - b, c - b).min() > 30
            assert _angle_deg(a - b, c - b).max() < 172


def _angle_deg(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    angle: npt.NDArray[Any] = np.degrees(np.arccos(cosine))
    return angle


@pytest.mark.parametrize("seed", range(6))
def test_boots_stay_by_the_snow_and_skis_run_along_the_track(seed: int) -> None:
    slope = make_slope(seed, False)
    stamps = _stamps(slope.course.period_ns)
    pose = pose_skier(slope.build, slope.course, stamps)
    clear = pose.sole @ slope.course.normal
    assert clear.min() > -1e-6
    assert clear.max() < 0.2  # a skating skier lifts one ski
    assert np.median(clear) < 0.01
    assert (pose.pole_tip @ slope.course.normal).min() > -1e-6
    later = pose_skier(slope.build, slope.course, stamps + 1_000_000)
    way = later.sole.mean(1) - pose.sole.mean(1)
    off = _angle_deg(np.repeat(way[:, None], 2, 1), pose.ski[:, :, 1])
    assert np.percentile(off, 90) < 20


@pytest.mark.parametrize("seed", range(6))
def test_the_lean_balances_the_sideways_acceleration(seed: int) -> None:
    slope = make_slope(seed, False)
    stamps = _stamps(slope.course.period_ns, 10_000_000)
    pose = pose_skier(slope.build, slope.course, stamps)
    signals = slope.course.at(stamps)
    track = np.stack([signals["x"], signals["y"]], 1)
    acceleration = np.gradient(np.gradient(track, 0.01, axis=0), 0.01, axis=0)
    left = np.stack([-signals["tangent_y"], signals["tangent_x"]], 1)
    asked = np.degrees(np.arctan((acceleration * left).sum(1) / GRAVITY))
    body = _of(pose.joints, "hip") - pose.sole.mean(1)
    aside = (body[:, :2] * left).sum(1)
    leaned = np.degrees(np.arctan2(aside, body[:, 2]))
    calm = (signals["skate"] < 0.05)[5:-5]
    assert np.corrcoef(asked[5:-5][calm], leaned[5:-5][calm])[0, 1] > 0.95
    assert np.median(np.abs(asked - leaned)[5:-5][calm]) < 6
    assert np.abs(asked[5:-5]).max() < 58


def test_runs_have_tucks_skating_and_carved_turns_without_jumps() -> None:
    tucked = skated = carved = 0
    for seed in range(12):
        slope = make_slope(seed, False)
        signals = slope.course.at(_stamps(slope.course.period_ns))
        tucked += int((signals["tuck"] > 0.5).any())
        skated += int((signals["skate"] > 0.5).any())
        carved += int(np.abs(np.degrees(signals["lean"])).max() > 25)
        steps = np.diff(_joints(seed), 2, axis=0) / 0.05**2
        assert np.linalg.norm(steps, axis=-1).max() < 150
    assert min(tucked, skated) >= 4
    assert carved == 12


def test_the_pose_repeats_after_a_period_without_a_jump() -> None:
    slope = make_slope(5, True)
    period = slope.course.period_ns
    many = np.array([7, 7 + period, 7 + 100_000 * period, period - 1, 0], np.int64)
    joints = pose_skier(slope.build, slope.course, many).joints
    assert np.abs(joints[0] - joints[2]).max() < 1e-9
    assert np.abs(joints[0] - joints[1]).max() < 1e-9
    assert np.abs(joints[3] - joints[4]).max() < 1e-6
