"""Whole nights on one small slope: real sessions and processes, killed at every step, poisoned."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from capture.simulator.scene import camera_at
from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import read_manifest
from cvsf.registry.history import HISTORY
from cvsf.registry.registry import Registry, shipped_id
from cvsf.registry.verification import open_verified
from cvsf.system.errors import Refusal
from tests.support.engines import tiny
from tests.support.filmed import Filmed
from tests.support.product import processes, until
from tests.support.recordings import run
from tests.support.takes import taken
from train.bench.simulated_sessions import spoilt
from train.night.session_selection import Plan, pick
from train.nightly import CANDIDATE, _promote, nightly

STEPS = ("train", "prove", "compile", "promote", "tell")


def asked(data: Path, **config: Any) -> list[str]:
    (data / "night.json").write_text(json.dumps({"steps": 150, "checks": 3, **config}))
    words = ["nightly", "--data", str(data), "--config", str(data / "night.json"), "--json"]
    return [sys.executable, "-m", "cvsf", *words]


def spent(data: Path, **config: Any) -> dict[str, Any]:
    """What a night says at its end."""
    done = subprocess.run(
        asked(data, **config), capture_output=True, text=True, check=False, env=one_thread()
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(said, dict)
    return said


def one_thread() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1"}


def live_is_whole(data: Path) -> str:
    registry = Registry(data / "models")
    open_verified(registry.live(), registry.live_id(), "h36m-16").close()
    return registry.live_id()


def one_view_mm(folder: Path, filmed: Filmed) -> float:
    """Mean error of single views against what really happened, roots together, best scale."""
    seen, engine = filmed.observations, load_engine(folder)
    shape, arrays = seen.confidence.shape, (seen.keypoints_px, seen.confidence, seen.image_px)
    alone = engine.lift_many(*(a.reshape(-1, 1, *a.shape[2:]) for a in arrays))
    found = alone["canonical"] @ np.swapaxes(alone["view_from_canonical"], -1, -2)
    shown: npt.NDArray[np.bool_] = np.any(seen.confidence > 0, axis=-1)
    truth = filmed.joints - filmed.joints[:, :1]
    errors = []
    for v, view in enumerate(filmed.views):
        stamps = np.round(seen.t_s * 1e9).astype(np.int64)
        turn, _ = camera_at(view, stamps, filmed.joints[:, 0])
        real = truth @ np.swapaxes(turn, 1, 2)
        ours = found.reshape(*shape[:2], -1, 3)[:, v].astype(np.float64)
        scale = (ours * real).sum((-2, -1)) / np.square(ours).sum((-2, -1))
        off = np.linalg.norm(scale[:, None, None] * ours - real, axis=-1).mean(-1)
        errors.append(off[shown[:, v]])
    return float(1e3 * np.concatenate(errors).mean())


@pytest.mark.slow
def test_a_night_killed_at_every_step_ends_with_a_better_engine_live(
    slope: tuple[Path, list[Filmed]], tmp_path: Path
) -> None:
    source, filmed = slope
    data = tmp_path / "data"
    shutil.copytree(source, data)
    starter = Registry(data / "models").live_id()
    said: dict[str, Any] = {}
    for step in STEPS:
        process = subprocess.Popen(
            asked(data), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=one_thread()
        )
        while process.poll() is None and not comes_to(data, step):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        last = process.communicate()[0].splitlines()[-1:]
        live_is_whole(data)
        if last:  # so quick that it was over
            assert step in ("promote", "tell")
            said = json.loads(last[0])
            break
    assert until(lambda: not any(str(data) in words for _, _, words in processes()), 10)
    said = said or spent(data)
    assert said["promoted"], said["verdict"]
    assert live_is_whole(data) == said["engine"] != starter
    registry = Registry(data / "models")
    assert [one.engine for one in registry.history()] == [said["engine"]]
    kept_back = filmed[2]
    assert said["sessions"]["kept_back"][0]["name"].endswith("take3")
    assert one_view_mm(registry.live(), kept_back) < 0.9 * one_view_mm(SHIPPED, kept_back)
    assert Path(said["report"]).is_file()
    manifest = json.loads((registry.live() / "manifest.json").read_text())
    assert manifest["parent"] == starter
    assert any("take1" in session for session in manifest["sessions"])
    assert spent(data)["outcome"] == "idle"
    assert registry.roll_back("by hand") == starter
    assert live_is_whole(data) == starter


def comes_to(data: Path, step: str) -> bool:
    """Whether the newest night is at that step."""
    found = sorted((data / "nights").glob("*/progress.json"))[-1:]
    return any(json.loads(path.read_bytes())["under_way"] == step for path in found)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["shuffled views", "NaN", "diverged run"])
def test_a_poisoned_night_promotes_nothing(tmp_path: Path, how: str) -> None:
    config: dict[str, float] = {"steps": 20, "checks": 1}
    if how == "diverged run":
        config |= {"rate": 1e4}
    random = np.random.default_rng(0)
    for take in (1, 2):
        spoil = None if how == "diverged run" else partial(spoilt, how=how, random=random)
        taken(tmp_path, take, 6.0, spoil=spoil)
    said = spent(tmp_path, **config)
    assert not said["promoted"]
    assert said["outcome"] in ("kept", "refused")
    assert said["verdict"].startswith("Nothing changed")
    assert Path(said["report"]).is_file()
    registry = Registry(tmp_path / "models")
    assert registry.live() == SHIPPED
    assert not registry.history()
    report = Path(said["report"]).with_suffix(".json")
    report.write_text(report.read_text().replace('"refused"', '"kept"'))
    with pytest.raises(Refusal, match="which promoted nothing"):
        pick(tmp_path / "sessions", tmp_path / "nights", registry.live_id())


def test_a_dry_run_lists_its_sessions_and_changes_no_file(
    slope: tuple[Path, list[Filmed]],
) -> None:
    data = slope[0]
    before = sorted(data.rglob("*"))
    said = run(nightly, "--data", data, "--dry-run", "--json")
    assert sorted(data.rglob("*")) == before
    assert [len(said[role]) for role in ("learned", "kept_back")] == [2, 1]


@pytest.mark.slow
def test_a_second_night_at_once_is_refused_and_an_interrupted_one_is_resumed(
    slope: tuple[Path, list[Filmed]], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(slope[0], data)
    words = asked(data, steps=100_000)
    first = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=one_thread())
    assert until(partial(comes_to, data, "train"), 60)
    second = subprocess.run(words, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "another cvsf nightly is running" in second.stderr
    first.send_signal(signal.SIGTERM)
    said = json.loads(first.communicate(timeout=60)[0].splitlines()[-1])
    assert (first.returncode, said["outcome"]) == (0, "stopped")
    (night,) = (data / "nights").glob("2*")
    assert run(nightly, "--data", data, "--dry-run", "--json")["verdict"].endswith(f"{night.name}.")
    (night / "plan.json").write_text("{")
    said = run(nightly, "--data", data, "--json")
    assert said["outcome"] == "refused"
    assert "plan.json" in said["verdict"]


def refused(data: Path, *words: str) -> str:
    """The sentence of a night that does not begin."""
    command = [sys.executable, "-m", "cvsf", "nightly", "--data", str(data), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert not list((data / "nights").glob("2*"))
    return sentence


@pytest.mark.slow
def test_a_broken_live_link_and_wrong_options_are_refused_before_a_night_begins(
    slope: tuple[Path, list[Filmed]], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(slope[0], data)
    (data / "models").mkdir()
    (data / "models" / "live").symlink_to("nowhere")
    assert "nowhere" in refused(data)
    (data / "models" / "live").unlink()
    (data / "models" / "live").symlink_to("/etc")
    assert "promote one by its name" in refused(data)
    registry = Registry(data / "models")
    registry.promote(read_manifest(SHIPPED).id, "mended")
    assert live_is_whole(data) == read_manifest(SHIPPED).id
    (data / "night.json").write_text('{"stepz": 5}')
    for words in (["--minutes", "0"], ["--processes", "3"], ["--config", str(data / "night.json")]):
        with pytest.raises(Refusal, match=r"--minutes is 0|--processes is 3|stepz.*steps, rate"):
            run(nightly, "--data", data, "--dry-run", *words)


PROOF = {"gain": 0.1}


def plan(live: str) -> Plan:
    return Plan(live=live, learned=("one",), kept_back=("two",))


def test_a_night_killed_between_link_and_history_reports_its_promotion(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    candidate, begun = tiny(tmp_path / CANDIDATE, "fresh"), plan(registry.live_id())
    assert _promote(registry, begun, candidate, PROOF) == {"promoted": True, "engine": "fresh"}
    (registry.models / HISTORY).unlink()
    for _ in range(2):
        assert _promote(registry, begun, candidate, PROOF)["promoted"]
        assert [one.engine for one in registry.history()] == ["fresh"]
    registry.roll_back("it is not better")
    assert _promote(registry, begun, candidate, PROOF)["promoted"]
    assert registry.live_id() == shipped_id()


def test_an_engine_promoted_by_hand_during_a_night_stays_live(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    begun = plan(registry.live_id())
    registry.promote(registry.add(tiny(tmp_path / "chosen", "chosen")).name, "by hand")
    found = _promote(registry, begun, tiny(tmp_path / CANDIDATE, "fresh"), PROOF)
    assert not found["promoted"]
    assert "chosen was made live" in found["trouble"]
    assert registry.live_id() == "chosen"
