"""`cvsf calibrate` on small inputs in which something is wrong; they are kept beside the code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvsf.evaluation.metrics import p_mpjpe
from cvsf.skeleton import H36M_16
from tests.support.recordings import run
from train.calibrate import calibrate

FRAME_S = 1 / 30
UNSEEN = {"rknee", "rankle", "lknee", "lankle", "head"}


def calibrated(file: Path, *words: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of a file with one session, and of that session."""
    facts = run(calibrate, file, *words, "--json")
    (session,) = facts["per_session"]
    return facts, session


@pytest.fixture(scope="module")
def sound(shared_cases: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return calibrated(shared_cases / "sound.npz")


def test_a_sound_take_has_still_cameras_without_delays(
    sound: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    facts, session = sound
    assert session["moving"] == "still"
    assert (facts["left_out"], facts["corrected"]) == ({}, {})
    (delays_s,) = facts["delays_s"].values()
    assert set(delays_s.values()) == {0}
    assert session["rooted_mm"] < session["limit"]["rooted_mm"]


@pytest.mark.slow
def test_a_camera_that_is_a_second_late_is_found_as_such(
    shared_cases: Path, sound: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    facts, session = calibrated(shared_cases / "cam2_1s_late.npz")
    (delays_s,) = facts["delays_s"].values()
    assert delays_s["cam2"] == pytest.approx(1.0, abs=FRAME_S / 2)
    assert all(abs(delays_s[camera]) < FRAME_S / 2 for camera in ("cam0", "cam1", "cam3"))
    assert session["moving"] == "still"
    assert session["rooted_mm"] < 1.2 * sound[1]["rooted_mm"]


@pytest.mark.slow
def test_a_mirrored_camera_is_mirrored_back_and_named(
    shared_cases: Path, sound: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    facts, session = calibrated(shared_cases / "cam1_mirrored.npz")
    (corrected,) = facts["corrected"].values()
    assert set(corrected) == {"cam1"}
    assert "mirrored" in corrected["cam1"]
    assert facts["left_out"] == {}
    assert session["moving"] == "still"
    assert session["rooted_mm"] < 1.2 * sound[1]["rooted_mm"]


@pytest.mark.slow
def test_guessed_legs_outside_the_picture_change_nothing(
    shared_cases: Path, tmp_path: Path
) -> None:
    seen = [H36M_16.index(joint) for joint in H36M_16.joints if joint not in UNSEEN]
    joints_mm = []
    for name in ("upper_body_as_detected", "upper_body_legs_off"):
        out = tmp_path / name
        _, session = calibrated(shared_cases / f"{name}.npz", "--out", str(out))
        assert session["refused"] is None
        assert session["moving"] == "still"
        (written,) = out.glob("*.npz")
        with np.load(written) as file:
            joints_mm.append(1000 * file["joints"][:, seen].astype(float))
    detected, off = joints_mm
    assert np.isfinite(detected).all()
    assert p_mpjpe(detected.reshape(1, -1, 3), off.reshape(1, -1, 3)).mean() < 15


@pytest.mark.slow
def test_a_robot_before_two_cameras_is_not_mirrored_by_a_longer_take(
    shared_cases: Path, tmp_path: Path
) -> None:
    joints = {}
    for name, words in (("first", ("--seconds", "6")), ("whole", ())):
        out = tmp_path / name
        facts, session = calibrated(shared_cases / "robot_2views.npz", "--out", str(out), *words)
        assert session["moving"] == "still"
        assert facts["ambiguous"] == {}
        (written,) = out.glob("*.npz")
        with np.load(written) as file:
            joints[name] = file["joints"][:150]
    known = np.isfinite(joints["first"]).all((1, 2)) & np.isfinite(joints["whole"]).all((1, 2))
    first, whole = (joints[name][known].astype(float) for name in ("first", "whole"))
    first, whole = (each - each[:, :1] for each in (first, whole))
    u, size, vt = np.linalg.svd(first.reshape(-1, 3).T @ whole.reshape(-1, 3))
    as_it_is = size[0] + size[1] + np.sign(np.linalg.det(u @ vt)) * size[2]
    explained = as_it_is**2 / (np.square(first).sum() * np.square(whole).sum())
    assert explained > 0.98  # by one rotation and size; the mirror image has less


@pytest.mark.slow
def test_a_child_after_an_adult_is_a_second_person(shared_cases: Path, tmp_path: Path) -> None:
    with np.load(shared_cases / "child_after_adult.npz") as case:
        keypoints, confidence, fps = case["keypoints_px"], case["confidence"], float(case["fps"])
    count = keypoints.shape[1]
    np.savez(
        tmp_path / "both.npz",
        allow_pickle=False,
        keypoints_px=keypoints[0],
        confidence=confidence[0].astype(np.float32),
        image_px=np.array([1920, 1080]),
        joint_names=np.array(H36M_16.joints),
        session=np.zeros(count, int),
        t_s=np.arange(count) / fps,
    )
    facts, session = calibrated(tmp_path / "both.npz", "--out", str(tmp_path))
    assert session["moving"] == "still"
    assert facts["people"] == {"both:0": 2}
    with np.load(tmp_path / "both-0.npz") as skeletons:
        assert set(np.unique(skeletons["person_id"])) == {-1, 0, 1}
