"""`cvsf calibrate`: what it finds, what it writes, what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from cvsf.multiview.calibration import from_plain
from cvsf.session.reader import MANIFEST
from cvsf.system.errors import Refusal
from tests.support.recordings import record, run
from tests.support.walkers import WALKERS, walkers
from train.calibrate import calibrate

MUST_KEYS = (
    "sessions_calibrated_share",
    "refused",
    "fused",
    "calibrated_limit",
    "focal_error_median",
    "centre_error_share",
    "seconds_per_session",
    "seconds_over_triangulation",
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walkers(tmp_path_factory.mktemp("walkers") / "walkers.npz", frames=60)


def one_session(file: Path, to: Path) -> Path:
    """The first of a file's sessions."""
    with np.load(file) as read:
        found = {name: read[name] for name in read.files}
    rows = found["session"] == found["session"][0]
    chosen = {n: a[rows] if len(a) == len(rows) else a for n, a in found.items()}
    np.savez(to, allow_pickle=False, **chosen)
    return to


def test_cameras_of_every_session_are_found_and_scored_against_the_true_ones(file: Path) -> None:
    facts = run(calibrate, file, "--height", "1.7", "--json")
    assert all(key in facts for key in MUST_KEYS)
    assert facts["sessions"] == len(WALKERS)
    assert facts["sessions_calibrated_share"] == 1
    assert facts["refused"] == {}
    assert facts["scale_source"] == ["height"]
    assert facts["fused"]["n_mpjpe_mm"] < 1.5 * facts["calibrated_limit"]["n_mpjpe_mm"]
    assert facts["fused"]["n_mpjpe_mm"] < facts["mean_of_canonical"]["n_mpjpe_mm"]
    assert facts["focal_error_median"] < 0.1
    assert facts["centre_error_share"] < 0.1


def test_the_truth_of_a_file_changes_no_camera(file: Path, tmp_path: Path) -> None:
    with np.load(file) as read:
        seen = {name: read[name] for name in read.files}
    lies = seen | {"camera_R": seen["camera_R"][:, ::-1], "joints_mm": seen["joints_mm"] * 2 + 50}
    np.savez(tmp_path / "walkers.npz", allow_pickle=False, **lies)
    for name, path in (("told", file), ("lied", tmp_path / "walkers.npz")):
        run(calibrate, path, "--subjects", "ann", "--out", tmp_path / name, "--json")
    written = sorted(path.name for path in (tmp_path / "told").iterdir())
    assert written == [f"walkers-0.{end}" for end in ("caliscope.toml", "json", "npz", "toml")]
    cameras = [tmp_path / who / "walkers-0.json" for who in ("told", "lied")]
    assert json.loads(cameras[0].read_text()) == json.loads(cameras[1].read_text())
    with np.load(tmp_path / "told" / "walkers-0.npz") as skeletons:
        height = skeletons["joints"][..., 2]
    assert -0.2 < height.min() < 0.2  # two of its cameras are rolled by 20 degrees
    assert 1.4 < height.max() < 2.2


def test_a_calibrated_session_holds_its_cameras_and_their_scale(file: Path, tmp_path: Path) -> None:
    folder = record(tmp_path / "session", one_session(file, tmp_path / "one.npz"), 4)
    facts = run(calibrate, folder, "--views", "3", "--distance", "cam0,cam2=6", "--json")
    assert facts["views"] == 3
    found = from_plain(json.loads((folder / "cameras.json").read_text()))
    assert found.rig.cameras == ("cam0", "cam1", "cam2")
    assert np.linalg.norm(found.rig.centres[0] - found.rig.centres[2]) == pytest.approx(6)
    assert found.scale_source == "distance"
    assert (folder / MANIFEST).exists()


def test_a_motion_too_short_is_refused_with_a_reason_and_counts_as_a_failure(
    tmp_path: Path,
) -> None:
    file = walkers(tmp_path / "short.npz", frames=3)
    facts = run(calibrate, file, "--json")
    assert facts["sessions_calibrated_share"] == 0
    assert set(facts["refused"]) == {"short:0", "short:1"}
    assert all(reason for reason in facts["refused"].values())
    assert facts["fused"] == {"n_mpjpe_mm": None, "p_mpjpe_mm": None}
    assert facts["all_sessions"]["fused"]["n_mpjpe_mm"] > 0


def test_without_json_the_exit_code_says_that_no_session_was_calibrated(
    file: Path, tmp_path: Path
) -> None:
    one = one_session(file, tmp_path / "one.npz")
    with pytest.raises(typer.Exit) as ended:
        calibrate(one, seconds=0.2)
    assert ended.value.exit_code == 1


def test_a_camera_of_unknown_picture_size_is_refused(tmp_path: Path) -> None:
    file = walkers(tmp_path / "unknown.npz", image_px=np.zeros((4, 2)))
    facts = run(calibrate, file, "--subjects", "ann", "--json")
    assert facts["refused"] == {
        "unknown:0": "the size of the pictures of cam0 is not known; record it"
    }


def test_a_camera_that_saw_nobody_is_left_out(file: Path, tmp_path: Path) -> None:
    with np.load(file) as read:
        found = {name: read[name] for name in read.files}
    found["confidence"][:, 1] = 0
    np.savez(tmp_path / "blind.npz", allow_pickle=False, **found)
    facts = run(calibrate, tmp_path / "blind.npz", "--subjects", "ann", "--out", tmp_path, "--json")
    assert facts["sessions_calibrated_share"] == 1
    (left_out,) = facts["left_out"].values()
    assert left_out == {
        "cam1": "fewer than 5 of its instants show the athlete together with another camera of "
        "the rig"
    }
    (only,) = facts["per_session"]
    assert only["rooted_mm"] < 1.5 * only["limit"]["rooted_mm"]
    cameras = json.loads((tmp_path / "blind-0.json").read_text())["cameras"]
    assert cameras == ["cam0", "cam2", "cam3"]


def test_choosing_subjects_of_a_session_is_refused(file: Path, tmp_path: Path) -> None:
    folder = record(tmp_path / "session", file, 2)
    with pytest.raises(Refusal, match="has no subjects; choose subjects of multi-view files only"):
        run(calibrate, folder, "--subjects", "ann")


def test_the_worst_session_is_drawn_and_filmed(file: Path, tmp_path: Path) -> None:
    picture, movie = tmp_path / "rig.png", tmp_path / "rig.gif"
    run(calibrate, file, "--seconds", "1", "--picture", picture, "--movie", movie, "--json")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert movie.read_bytes()[:3] == b"GIF"


@pytest.mark.slow
def test_the_real_clip_is_as_good_as_its_own_calibration(shared_data: Path, tmp_path: Path) -> None:
    picture = tmp_path / "rig.png"
    facts = run(calibrate, shared_data / "pose2sim_balance", "--picture", picture, "--json")
    assert facts["fused"]["p_mpjpe_mm"] <= 22
    assert facts["centre_error_share"] <= 0.05
    assert facts["focal_error_mean"] <= 0.08
    assert facts["reprojection_px"]["self_calibrated"] <= facts["reprojection_px"]["true_cameras"]
    for bone in facts["bone_spread_mm"].values():
        assert bone["self_calibrated"] <= bone["truth"]
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--views", "1"], "--views is 1, expected 2 to 4"),
        (["--views", "5"], "--views is 5, expected 2 to 4"),
        (["--moving", "maybe"], "expected one of still, auto, panning"),
        (["--height", "1.7", "--bone", "thigh=0.4"], "exclude each other"),
        (["--height", "-1.7"], "0.5 to 2.6"),
        (["--bone", "thigh"], "NAME=METRES"),
        (["--bone", "nose=0.1"], "expected one of thigh"),
        (["--distance", "cam0,cam9=3"], "expected two of cam0"),
        (["--subjects", "carl"], "name fewer or others"),
        (["--picture", "rig.jpg"], "expected the name of a .png file"),
        (["--picture", "none/rig.png"], "which is not a folder; create it first"),
        (["--movie", "rig.avi"], "expected the name of a .mp4 or .gif file"),
    ],
)
def test_options_of_calibrate_out_of_range_are_refused_with_the_reason(
    file: Path, words: list[str], sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence):
        run(calibrate, file, *words)


def test_calibrate_is_imported_without_torch(file: Path) -> None:
    code = "import sys, train.calibrate, train.data.clip; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
