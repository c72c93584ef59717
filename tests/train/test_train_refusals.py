"""What `cvsf train` is given wrongly, and the one sentence it says to it."""

import json
import logging
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cvsf.messages import Instant
from cvsf.session.writer import SessionWriter
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import FRAMES, SMALL, VIEWS, multiview, record, run
from train.checkpoint import Checkpoint, read_checkpoint
from train.config import TrainConfig
from train.data.npz import read_file
from train.evaluate import evaluate
from train.loop.optimise import start
from train.train import train

POSES = (FRAMES, VIEWS, len(H36M_16))


@pytest.fixture
def words(tmp_path: Path) -> list[str | Path]:
    """Options of a small run."""
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return ["--config", tmp_path / "small.json", "--out", tmp_path / "run", "--json"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return multiview(tmp_path / "a.npz")


def no_poses(folder: Path) -> Path:
    """A session of instants nobody was looked for in."""
    writer = SessionWriter(folder)
    for index in range(3):
        writer.write(Instant(index=index, t_ns=index, frames={}, expected=(), spread_ns=0))
    assert writer.close() == 0
    return folder


def only(file: Path, to: Path, views: int) -> Path:
    """A file of the first views of another."""
    with np.load(file) as read:
        found = {name: read[name] for name in read.files}
    for name in ("keypoints_px", "confidence", "truth_px", "joints_mm", "head_px"):
        found[name] = found[name][:, :views]
    np.savez(to, allow_pickle=False, **found)
    return to


def test_sessions_of_two_three_and_no_cameras_with_the_person_are_learned_from_together(
    tmp_path: Path, file: Path, words: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    sessions = [
        record(tmp_path / "three", file, 3),
        record(tmp_path / "two", file, 2),
        record(tmp_path / "nobody", file, 3, nobody=True),
    ]
    no_poses(tmp_path / "empty")
    with caplog.at_level(logging.WARNING):
        facts = run(train, *sessions, tmp_path / "empty", "--variant", "s1", *words)
    assert facts["learned_from"] == 2 * FRAMES
    assert read_checkpoint(Path(facts["checkpoint"])).sessions == ("three", "two")
    skipped = {vars(r)["session"] for r in caplog.records if "skipped" in r.message}
    assert skipped == {"nobody", "empty"}
    assert not any("bas-relief" in r.message for r in caplog.records)


@pytest.mark.parametrize("kind", ["one view", "nobody", "no poses"])
def test_recordings_of_one_view_of_nobody_or_without_poses_are_refused(
    tmp_path: Path, file: Path, words: list[Any], kind: str
) -> None:
    if kind == "one view":
        given, said = only(file, tmp_path / "one.npz", 1), "no instant was observed by two views"
    elif kind == "nobody":
        given = record(tmp_path / "session", file, 3, nobody=True)
        said = "no instant was observed by two views"
    else:
        given, said = no_poses(tmp_path / "session"), "holds no 2D poses"
    with pytest.raises(Refusal, match=said):
        run(train, given, *words)
    assert not (tmp_path / "run" / "instants").exists()


def test_two_views_are_trained_on_and_their_ambiguity_is_logged_once(
    tmp_path: Path, file: Path, words: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        two = only(file, tmp_path / "two.npz", 2)
        facts = run(train, two, "--variant", "s1s2", "--seeds", "2", *words)
    assert sum("bas-relief" in r.message for r in caplog.records) == 1
    assert facts["s1s2"]["fused"]["n_mpjpe_mm"]["mean"] > 0


@pytest.mark.parametrize("variant", ["s1s2", "supervised"])
def test_keypoints_that_are_nan_or_infinite_count_as_not_seen(
    tmp_path: Path, words: list[Any], variant: str
) -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.5, 1, POSES)
    keypoints = random.uniform(0, 900, (*POSES, 2))
    confidence[0, 0], confidence[1, 1, :3], confidence[2, 2, 4] = np.nan, np.inf, -np.inf
    keypoints[3, 0, 5], keypoints[4, 1, 6, 1], keypoints[5] = np.nan, np.inf, -np.inf
    keypoints[:, 2, 7] = np.nan
    given = multiview(tmp_path / "b.npz", keypoints_px=keypoints, confidence=confidence)
    found = read_file(given)
    assert np.isfinite(found.keypoints_px).all()
    for where in (
        *(np.s_[0, 0], np.s_[1, 1, :3], np.s_[2, 2, 4]),
        *(np.s_[3, 0, 5], np.s_[4, 1, 6], np.s_[5], np.s_[:, 2, 7]),
    ):
        assert not found.confidence[where].any()
    facts = run(train, given, "--variant", variant, *words)
    assert facts["learned_from"] == FRAMES - 1
    weights = read_checkpoint(Path(facts["checkpoint"])).weights
    assert all(tensor.isfinite().all() for tensor in weights.values())


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes_that_are_not_above_zero_are_refused(
    file: Path, words: list[Any], minutes: str
) -> None:
    with pytest.raises(Refusal, match=r"--minutes is .* expected a number above 0"):
        run(train, file, "--minutes", minutes, *words)


@pytest.mark.parametrize("place", ["file/run", "/proc/run"])
def test_an_output_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, file: Path, words: list[Any], place: str
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Refusal, match=r"nothing can be written to .*/run"):
        run(train, file, *words, "--out", tmp_path / place)


def test_an_existing_run_is_kept_and_resumed_only_with_its_own_configuration(
    tmp_path: Path, file: Path, words: list[Any]
) -> None:
    facts = run(train, file, *words)
    before = Path(facts["checkpoint"]).read_bytes()
    with pytest.raises(Refusal, match="add --resume"):
        run(train, file, *words)
    with pytest.raises(Refusal, match="add --resume"):  # before a file is read
        run(train, tmp_path / "none.npz", *words)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(SMALL | {"rate": 0.5}))
    with pytest.raises(Refusal, match=r"another configuration \(rate was 0.001, is 0.5\)"):
        run(train, file, "--resume", *words, "--config", other)
    found = read_checkpoint(Path(facts["checkpoint"]))
    assert Path(facts["checkpoint"]).read_bytes() == before
    replace(found, joint_set="coco-17").write(Path(facts["checkpoint"]))
    with pytest.raises(Refusal, match=r"joint set coco-17, expected h36m-16"):
        run(train, file, "--resume", *words)


def test_a_run_is_resumed_only_with_its_own_recordings(
    tmp_path: Path, file: Path, words: list[Any]
) -> None:
    run(train, file, *words)
    (tmp_path / "changed").mkdir()
    changed = multiview(tmp_path / "changed" / file.name)
    with np.load(changed) as found:
        arrays = {name: found[name] for name in found.files}
    np.savez(changed, allow_pickle=False, **arrays | {"keypoints_px": arrays["keypoints_px"] + 1})
    with pytest.raises(Refusal, match="learned from other recordings"):
        run(train, changed, "--resume", *words)
    with pytest.raises(Refusal, match="learned from other recordings"):
        run(train, multiview(tmp_path / "b.npz"), "--resume", *words)
    again = run(train, file, "--resume", *words)  # finished: only scored anew
    assert again["baseline"]["steps"] == SMALL["steps"]


def test_kept_back_recordings_without_a_person_are_refused(
    tmp_path: Path, words: list[Any]
) -> None:
    confidence = np.ones(POSES)
    confidence[FRAMES // 2 :] = 0
    given = multiview(tmp_path / "b.npz", confidence=confidence)
    with pytest.raises(Refusal, match="no instant of a person is left to report on"):
        run(train, given, "--subjects", "ann", *words)
    blind = multiview(tmp_path / "c.npz", confidence=0 * confidence)
    with pytest.raises(Refusal, match="no person is seen in"):
        run(evaluate, blind)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_synthetic_bodies_are_trained_on_in_either_precision(
    tmp_path: Path, file: Path, words: list[Any], precision: str
) -> None:
    synthetic = tmp_path / "synthetic.json"
    synthetic.write_text(json.dumps(SMALL | {"bodies": "virtual", "precision": precision}))
    facts = run(train, file, "--variant", "supervised", *words, "--config", synthetic)
    assert facts["supervised"]["steps"] == SMALL["steps"]


def a_checkpoint() -> Checkpoint:
    return start(TrainConfig(**SMALL), H36M_16, 0).checkpoint(("a",))


def test_a_parent_of_other_joints_or_another_shape_is_refused(
    tmp_path: Path, file: Path, words: list[Any]
) -> None:
    parent = tmp_path / "parent.pt"
    replace(a_checkpoint(), joint_set="coco-17").write(parent)
    with pytest.raises(Refusal, match="parent lifts joint set coco-17, expected h36m-16"):
        run(train, file, "--parent", parent, *words)
    start(TrainConfig(**SMALL | {"width": 48}), H36M_16, 0).checkpoint(("a",)).write(parent)
    with pytest.raises(Refusal, match=r"parent is a lifter of width 48, expected width 32; give"):
        run(train, file, "--parent", parent, *words)


class _Malice:
    """A pickle that writes a file when it is read carelessly."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.trace),)


def _zip(path: Path, trace: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(_Malice(trace)))
        file.writestr("archive/version", "3")


def _cut(path: Path, trace: Path) -> None:
    a_checkpoint().write(path)
    path.write_bytes(path.read_bytes()[:-2000])


def _other_weights(path: Path, trace: Path) -> None:
    found = a_checkpoint()
    replace(found, weights={name: t[:1] for name, t in found.weights.items()}).write(path)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda p, t: p.write_bytes(os.urandom(5000)), id="random bytes"),
        pytest.param(lambda p, t: p.write_bytes(b""), id="an empty file"),
        pytest.param(lambda p, t: p.write_bytes(pickle.dumps(_Malice(t))), id="a malicious pickle"),
        pytest.param(lambda p, t: torch.save({"format": 1, "x": _Malice(t)}, p), id="in torch's"),
        pytest.param(_zip, id="a malicious zip"),
        pytest.param(lambda p, t: torch.save({"a.weight": torch.ones(2)}, p), id="a state_dict"),
        pytest.param(lambda p, t: torch.save(torch.ones(2), p), id="a tensor"),
        pytest.param(_cut, id="a truncated checkpoint"),
        pytest.param(_other_weights, id="weights of another network"),
    ],
)
def test_a_parent_that_is_no_checkpoint_is_refused_and_not_executed(
    tmp_path: Path, file: Path, words: list[Any], write: Callable[[Path, Path], Any]
) -> None:
    parent, trace = tmp_path / "parent.pt", tmp_path / "trace"
    write(parent, trace)
    with pytest.raises(Refusal, match=r"parent\.pt (is not a checkpoint|holds weights of another)"):
        run(train, file, "--parent", parent, *words)
    assert not trace.exists()


def test_a_run_whose_loss_becomes_nan_is_refused(
    tmp_path: Path, file: Path, words: list[Any]
) -> None:
    wild = tmp_path / "wild.json"
    wild.write_text(json.dumps(SMALL | {"rate": 1e30, "warm_up_steps": 1}))
    with pytest.raises(Refusal, match=r"the loss is nan at step .*lower the rate"):
        run(train, file, "--variant", "s1", *words, "--config", wild)


def test_a_refusal_is_one_sentence_and_exit_2(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "cvsf", "train", str(tmp_path / "none.npz")]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"no file at {tmp_path / 'none.npz'}; expected")
    assert len(done.stderr.splitlines()) == 1


def test_the_same_seed_trains_the_same_weights_to_the_bit(
    tmp_path: Path, file: Path, words: list[Any]
) -> None:
    runs = [
        run(train, file, "--variant", "s1s2", "--seeds", "2", *words, "--out", tmp_path / name)
        for name in ("a", "b")
    ]
    for facts in runs:
        assert facts["s1s2"].pop("computing_s")["mean"] > 0
        del facts["checkpoint"]
    assert runs[0] == runs[1]
    first, same, other = (
        read_checkpoint(tmp_path / name / "checkpoint.pt").weights
        for name in ("a/seed-0", "b/seed-0", "a/seed-1")
    )
    assert all(torch.equal(tensor, same[name]) for name, tensor in first.items())
    assert not torch.equal(first["stem.weight"], other["stem.weight"])
