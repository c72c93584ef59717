"""Several processes learn what one would, end together, and go on from where they were stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.product import processes, until
from tests.support.recordings import multiview, run
from tests.support.walkers import walkers
from train.checkpoint import Checkpoint, read_checkpoint
from train.distributed import ProcessGroup, process_group
from train.train import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
BY_FILE = [*TORCHRUN, "--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"]
"""With `LOOPBACK` about it: torchrun opens no port to any other machine."""
TRAIN = ["-m", "cvsf", "train"]
EXACT: dict[str, Any] = {
    "width": 16,
    "blocks": 1,
    "threads": 1,
    "precision": "float64",
    "check_instants": 2,
    "report_instants": 8,
    "batch_instants": 8,
    "warm_up_steps": 10,
}
QUIET = os.environ | {"OMP_NUM_THREADS": "1"}
LOOPBACK = QUIET | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
PATIENCE_S = 60.0


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_slices_of_all_processes_are_the_batch_in_its_order(size: int) -> None:
    batch = torch.arange(8)
    slices = [ProcessGroup(rank=rank, size=size).shard(batch) for rank in range(size)]
    assert torch.equal(torch.cat(slices), batch)
    assert {len(part) for part in slices} == {8 // size}


def test_a_single_process_is_rank_0_and_its_means_are_its_own_values() -> None:
    with process_group("cpu", 7) as alone:
        assert (alone.rank, alone.size, alone.is_rank_0) == (0, 1, True)
        assert alone.mean(3.0, -1.5) == [3.0, -1.5]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return multiview(tmp_path / "a.npz")


def config(folder: Path, **changed: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(EXACT | changed))
    return path


def outcome(out: Path) -> Checkpoint:
    return read_checkpoint(out / "seed-0" / "checkpoint.pt")


def await_first_look(out: Path, process: subprocess.Popen[str]) -> None:
    """Until a run has saved itself for the first time."""
    deadline = time.monotonic() + PATIENCE_S
    while not (out / "seed-0" / "checkpoint.pt").exists():
        assert process.poll() is None, "it ended before it saved a checkpoint"
        if time.monotonic() > deadline:
            process.terminate()
            pytest.fail(f"no checkpoint in {out} after {PATIENCE_S:g} s")
        time.sleep(0.01)


def interrupted(
    command: list[str], env: dict[str, str], out: Path, signal: signal.Signals
) -> tuple[int, str]:
    """Exit code and standard error of a training run signalled after its first checkpoint."""
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    await_first_look(out, process)
    process.send_signal(signal)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.slow
@pytest.mark.parametrize(("size", "said"), [("1", "done\ntaken down\n"), ("2", "done\n")])
def test_one_of_several_processes_leaves_before_python_is_taken_down(size: str, said: str) -> None:
    program = (
        "import atexit; from train.distributed import leave\n"
        "atexit.register(print, 'taken down'); print('done'); leave()"
    )
    alone = os.environ | {"WORLD_SIZE": size}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=alone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, said)


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "steps"), [("s1s2", 50), ("supervised", 10), ("stage3", 10)])
def test_two_processes_have_the_losses_of_one(
    tmp_path: Path, file: Path, variant: str, steps: int
) -> None:
    if variant == "stage3":
        file = walkers(tmp_path / "walkers.npz")
    changed = {"steps": steps, "checks": steps}  # so that the curve holds the loss of every step
    chosen = config(
        tmp_path,
        plateau_window_steps=5,
        stage2_earliest=0.2,
        stage2_latest=0.4,
        refine_every=3,
        **changed,
    )
    words: list[Any] = [file, "--variant", variant, "--config", chosen, "--json", "--out"]
    run(train, *words, tmp_path / "one")
    together = subprocess.run(
        [*BY_FILE, *TRAIN, *map(str, words), str(tmp_path / "two")],
        env=LOOPBACK,
        capture_output=True,
        text=True,
        check=False,
    )
    assert together.returncode == 0, together.stderr
    assert len(together.stdout.splitlines()) == 1  # one of them speaks
    assert json.loads(together.stdout)["reported_on"] == 8
    one, two = outcome(tmp_path / "one"), outcome(tmp_path / "two")
    assert [point["step"] for point in two.curve] == list(range(1, steps + 1))
    assert [point["stage"] for point in two.curve] == [point["stage"] for point in one.curve]
    assert two.curve[-1]["stage"] == (2 if variant == "s1s2" else 1)
    for alone, shared in zip(one.curve, two.curve, strict=True):
        assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-5)


@pytest.mark.slow
def test_a_refusal_of_the_first_process_is_printed_once_and_ends_all(tmp_path: Path) -> None:
    words = [*BY_FILE, *TRAIN, str(tmp_path / "none.npz")]
    done = subprocess.run(
        [*words, "--out", str(tmp_path / "run")],
        env=LOOPBACK,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_S,  # one that waits for the other waits for a day
    )
    assert done.returncode != 0
    assert done.stderr.count("no file at") == 1
    assert "exitcode  : 2" in done.stderr
    assert "RuntimeError" not in done.stderr


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_to_the_same_weights(tmp_path: Path, file: Path) -> None:
    changed = {
        "precision": "float32",
        "steps": 480,
        "checks": 8,
        "plateau_window_steps": 20,
        "stage2_earliest": 0.3,
    }
    words: list[Any] = [file, "--variant", "s1s2", "--config", config(tmp_path, **changed)]
    words += ["--json", "--out"]
    run(train, *words, tmp_path / "whole")
    out = tmp_path / "stopped"
    command = [sys.executable, *TRAIN, *map(str, words), str(out)]
    code, said = interrupted(command, QUIET, out, signal.SIGINT)
    assert code == 2
    assert "stopped at step" in said
    assert not (out / "instants").exists()
    stopped = outcome(out)
    assert 60 <= stopped.step < 480
    run(train, "--resume", *words, out)
    whole, resumed = outcome(tmp_path / "whole"), outcome(out)
    assert resumed.step == 480
    assert resumed.curve == whole.curve
    for name, tensor in whole.weights.items():
        assert torch.equal(tensor, resumed.weights[name])


@pytest.mark.slow
def test_interrupted_processes_leave_a_checkpoint(tmp_path: Path, file: Path) -> None:
    chosen = config(tmp_path, steps=100_000, checks=10_000)
    words = [str(file), "--variant", "s1", "--config", str(chosen), "--seeds", "2"]
    out = tmp_path / "run"
    command = [*BY_FILE, *TRAIN, *words, "--out", str(out)]
    _, said = interrupted(command, LOOPBACK, out, signal.SIGTERM)
    assert said.count("stopped at step") == 1
    assert outcome(out).step > 0
    assert not (out / "seed-1").exists()
    assert not (out / "instants").exists()


@pytest.mark.slow
def test_a_killed_torchrun_leaves_no_process_behind(tmp_path: Path, file: Path) -> None:
    chosen = config(tmp_path, steps=100_000, checks=10_000)
    out = tmp_path / "run"
    words = [str(file), "--variant", "s1", "--config", str(chosen), "--out", str(out)]
    process = subprocess.Popen(
        [*BY_FILE, *TRAIN, *words], env=LOOPBACK, stderr=subprocess.DEVNULL, text=True
    )
    await_first_look(out, process)
    assert any(parent == process.pid for _, parent, _ in processes())
    process.kill()
    process.wait()
    assert until(lambda: not any(str(out) in words for _, _, words in processes()))
