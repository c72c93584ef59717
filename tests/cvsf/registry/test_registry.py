"""The registry of engines: what is live is always whole, and there is a way back."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import GOLDEN, LIFTER, MANIFEST, read_manifest
from cvsf.registry.history import HISTORY
from cvsf.registry.registry import LIVE, Registry, shipped_id
from cvsf.system.errors import Refusal
from tests.support.engines import tiny

Change = Callable[[Path], None]


@pytest.fixture
def taken_in(registry: Registry, tmp_path: Path) -> Callable[[str], str]:
    """Take in an engine of that name."""

    def take_in(id: str) -> str:
        registry.add(tiny(tmp_path / "compiled" / id, id))
        return id

    return take_in


def test_a_roll_back_killed_before_its_history_line_still_counts(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    for name in ("one", "two"):
        registry.add(tiny(tmp_path / name, name))
        registry.promote(name, "test")
    assert registry.roll_back("worse") == "one"
    history = (registry.models / "history.jsonl").read_text().splitlines(keepends=True)
    (registry.models / "history.jsonl").write_text("".join(history[:-1]))
    (registry.models / ".promoting.json").write_text(history[-1])  # as the killed one left it
    with pytest.raises(Refusal, match="made live meanwhile"):
        registry.promote("two", "by a machine", instead_of="two")
    assert registry.rolled_back_from() == {"two"}
    assert registry.previous() != "two"
    assert not (registry.models / ".promoting.json").exists()


def test_without_a_registry_the_shipped_engine_is_live(registry: Registry) -> None:
    assert registry.live() == SHIPPED
    assert registry.live_id() == shipped_id()
    assert [entry.is_live for entry in registry.engines()] == [True]
    assert registry.history() == []
    with pytest.raises(Refusal, match="before"):
        registry.roll_back("none there")


def test_the_fingerprint_changes_with_the_link_and_with_every_file_of_the_live_engine(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    seen = [registry.fingerprint(), registry.fingerprint()]
    assert seen[0] == seen[1]
    for id in ("a", "b"):
        registry.promote(taken_in(id), "test")
        seen.append(registry.fingerprint())
    for name in (MANIFEST, LIFTER, GOLDEN):
        path = registry.live() / name
        path.write_bytes(path.read_bytes() + b" ")
        seen.append(registry.fingerprint())
    (registry.models / LIVE).unlink()
    (registry.models / LIVE).symlink_to("../elsewhere")
    seen.append(registry.fingerprint())
    assert len(set(seen)) == len(seen) - 1


def test_a_promotion_is_read_back_and_rolled_back(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    registry.promote(taken_in("better"), "it is better")
    assert (registry.models / LIVE).readlink() == Path("better")
    assert load_engine(registry.live()).id == registry.live_id() == "better"
    assert registry.roll_back("it is not") == shipped_id()
    assert registry.live() == registry.models / shipped_id()
    one, other = registry.history()
    assert (one.engine, one.before, one.why) == ("better", shipped_id(), "it is better")
    assert (other.engine, other.before, other.rolled_back) == (shipped_id(), "better", True)


def test_engines_that_were_rolled_back_from_are_never_rolled_back_to(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    for id in ("one", "two"):
        registry.promote(taken_in(id), "newer")
    assert registry.roll_back("bad") == "one"
    registry.promote("two", "by hand, all the same")
    registry.promote(taken_in("three"), "newer")
    assert registry.rolled_back_from() == {"two"}
    assert registry.roll_back("bad too") == "one"
    assert registry.roll_back("and that") == shipped_id()
    with pytest.raises(Refusal, match="before"):
        registry.roll_back("nothing left")


def test_an_engine_is_taken_in_once_and_another_of_its_name_is_refused(
    registry: Registry, tmp_path: Path
) -> None:
    compiled = tiny(tmp_path / "compiled", "one")
    (compiled / ".hidden").write_text("no part of an engine")
    place = registry.add(compiled)
    assert registry.add(compiled) == place
    assert {path.name for path in place.iterdir()} == {LIFTER, GOLDEN, MANIFEST}
    with (compiled / LIFTER).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Refusal, match="sha256"):
        registry.add(compiled)


@pytest.mark.parametrize("id", ["../outside", "live", "", "a/b", ".hidden", "history.jsonl"])
def test_a_name_that_leaves_the_folder_is_refused(
    registry: Registry, tmp_path: Path, id: str
) -> None:
    with pytest.raises(Refusal, match="not a name of an engine"):
        registry.add(tiny(tmp_path / "compiled", id))
    with pytest.raises(Refusal, match="not a name of an engine"):
        registry.promote(id, "why not")


def test_the_promotion_of_an_unknown_engine_is_refused_with_those_there_are(
    registry: Registry,
) -> None:
    with pytest.raises(Refusal, match=shipped_id()):
        registry.promote("nobody", "why not")


def _corrupt(folder: Path) -> None:
    with (folder / LIFTER).open("r+b") as file:
        file.seek(4096)
        file.write(bytes(64))


def _rewrite(folder: Path, **changes: object) -> None:
    card = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(card | changes))


def _other_golden(folder: Path) -> None:
    with np.load(folder / GOLDEN) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(folder / GOLDEN, allow_pickle=False, **arrays | {"fused": arrays["fused"] + 0.01})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_corrupt, "sha256"),
        (lambda folder: _rewrite(folder, sha256="0" * 64), "sha256"),
        (lambda folder: _rewrite(folder, joint_set="coco-17"), "joints coco-17"),
        (lambda folder: _rewrite(folder, golden=None), "golden"),
        (
            lambda folder: _rewrite(folder, golden="../good/golden.npz", golden_sha256=None),
            "golden",
        ),
        (lambda folder: _rewrite(folder, id="other"), "other"),
        (_other_golden, "golden"),
        (lambda folder: (folder / GOLDEN).write_bytes(b"PK"), "golden"),
        (lambda folder: (folder / MANIFEST).unlink(), MANIFEST),
    ],
)
def test_a_tampered_engine_is_refused_and_the_live_one_stays(
    registry: Registry, taken_in: Callable[[str], str], change: Change, said: str
) -> None:
    registry.promote(taken_in("good"), "it is good")
    change(registry.models / taken_in("tampered"))
    with pytest.raises(Refusal, match=said):
        registry.promote("tampered", "it is newer")
    assert registry.live_id() == "good"
    assert len(registry.history()) == 1


def test_a_damaged_engine_is_listed_with_what_is_wrong(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    _corrupt(registry.models / taken_in("tampered"))
    (registry.models / "notes").mkdir()
    troubles = {entry.id: entry.trouble for entry in registry.engines()}
    assert set(troubles) == {"tampered", shipped_id()}
    assert troubles[shipped_id()] is None
    assert "sha256" in str(troubles["tampered"])


def test_a_torn_line_of_the_history_is_left_out_and_the_next_is_whole(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    registry.promote(taken_in("one"), "newer")
    with (registry.models / HISTORY).open("a") as file:
        file.write('{"at": "2026-11-23T02')
    assert [one.engine for one in registry.history()] == ["one"]
    registry.promote(taken_in("two"), "newer")
    assert [one.engine for one in registry.history()] == ["one", "two"]


def test_a_live_engine_without_its_history_line_gets_it_at_the_next_promotion(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    registry.promote(taken_in("one"), "newer")
    (registry.models / HISTORY).unlink()
    assert registry.previous() == shipped_id()
    registry.promote("one", "once more, after a crash")
    assert [(one.engine, one.before) for one in registry.history()] == [("one", shipped_id())]
    assert registry.roll_back("bad") == shipped_id()


def test_rotation_keeps_the_live_engine_the_one_before_and_the_newest(
    registry: Registry, tmp_path: Path
) -> None:
    for day in range(1, 7):
        created = f"2027-01-0{day}T02:00:00+00:00"
        registry.add(tiny(tmp_path / str(day), f"night{day}", created=created))
    registry.promote("night2", "newer")
    registry.promote("night1", "older, and yet")
    assert set(registry.rotate(keep=2)) == {"night3", "night4", shipped_id()}
    assert {entry.id for entry in registry.engines()} == {
        "night1", "night2", "night5", "night6", shipped_id(),
    }  # fmt: skip
    assert registry.rotate(keep=0) == ["night6", "night5"]
    assert registry.live_id() == "night1"
    assert registry.previous() == "night2"


def _promoting(models: Path, ids: list[str]) -> subprocess.Popen[bytes]:
    """A process that promotes one after the other, for ever."""
    body = (
        "import itertools, sys; from pathlib import Path\n"
        "from cvsf.registry.registry import Registry\n"
        "registry = Registry(Path(sys.argv[1]))\n"
        "for id in itertools.cycle(sys.argv[2:]):\n    registry.promote(id, 'in turn')"
    )
    return subprocess.Popen([sys.executable, "-c", body, str(models), *ids])


def _turns(registry: Registry, count: int) -> None:
    """Return when so many more promotions were made, every look having found a whole engine."""
    until = len(registry.history()) + count
    limit_s = time.monotonic() + 60
    while len(registry.history()) < until:
        assert time.monotonic() < limit_s
        assert read_manifest(registry.live()).id in {"one", "two", "three", shipped_id()}
        time.sleep(0.01)


def test_a_promoter_killed_at_any_moment_leaves_a_whole_engine_live(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    ids = [taken_in("one"), taken_in("two")]
    for kill in range(4):
        promoter = _promoting(registry.models, ids)
        try:
            _turns(registry, 2)
            time.sleep(0.013 * kill)
        finally:
            promoter.send_signal(signal.SIGKILL)
            promoter.wait()
        assert load_engine(registry.live()).id == registry.live_id()
    (registry.models / ".incoming-half").mkdir()
    registry.promote("two" if registry.live_id() == "one" else "one", "after all that")
    chain = registry.history()
    assert all(b.before == a.engine for a, b in pairwise(chain))
    assert not list(registry.models.glob(".incoming-*"))


def test_promotions_of_two_processes_are_made_one_after_the_other(
    registry: Registry, taken_in: Callable[[str], str]
) -> None:
    one, two, three = taken_in("one"), taken_in("two"), taken_in("three")
    promoters = [_promoting(registry.models, pair) for pair in ([one, two], [three, one])]
    try:
        while not {two, three} <= {promotion.engine for promotion in registry.history()}:
            _turns(registry, 4)
    finally:
        for promoter in promoters:
            promoter.kill()
            promoter.wait()
    registry.promote(two, "at last")
    assert all(b.before == a.engine for a, b in pairwise(registry.history()))
    shutil.rmtree(registry.models)
