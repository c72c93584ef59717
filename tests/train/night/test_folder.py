"""The ends of a night's steps: killed in the middle of one, or without what it began with."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import load_engine
from cvsf.registry.history import HISTORY
from cvsf.registry.registry import Registry, shipped_id
from cvsf.system.errors import Refusal
from tests.support.engines import tiny
from train.night.compare_engines import _finite, _named
from train.night.folder import Night
from train.night.gate import Check
from train.night.gate import plain as told_of
from train.night.label_free_evaluation import reference
from train.night.session_selection import Plan
from train.night.write_report import tell
from train.nightly import CANDIDATE, _promote

PROOF = {"gain": 0.1}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


def plan(live: str) -> Plan:
    return Plan(live=live, learned=("one",), kept_back=("two",))


def night(tmp_path: Path) -> Night:
    (tmp_path / "night").mkdir()
    return Night(tmp_path / "night", lock=0)


def test_a_night_killed_between_the_link_and_its_line_says_that_it_promoted(
    registry: Registry, tmp_path: Path
) -> None:
    candidate, begun = tiny(tmp_path / CANDIDATE, "fresh"), plan(registry.live_id())
    assert _promote(registry, begun, candidate, PROOF) == {"promoted": True, "engine": "fresh"}
    (registry.models / HISTORY).unlink()
    for _ in range(2):
        assert _promote(registry, begun, candidate, PROOF)["promoted"]
        assert [one.engine for one in registry.history()] == ["fresh"]
    registry.roll_back("it is not better")
    assert _promote(registry, begun, candidate, PROOF)["promoted"]
    assert registry.live_id() == shipped_id()


def test_an_engine_that_somebody_chose_meanwhile_stays(registry: Registry, tmp_path: Path) -> None:
    begun = plan(registry.live_id())
    registry.promote(registry.take_in(tiny(tmp_path / "chosen", "chosen")).name, "by hand")
    found = _promote(registry, begun, tiny(tmp_path / CANDIDATE, "fresh"), PROOF)
    assert not found["promoted"]
    assert "chosen was made live" in found["trouble"]
    assert registry.live_id() == "chosen"


def test_a_night_whose_engine_is_gone_is_closed_all_the_same(
    registry: Registry, tmp_path: Path
) -> None:
    said = tell(night(tmp_path), plan("gone"), None, registry, trouble="it is gone.")
    assert (said["outcome"], said["verdict"]) == ("refused", "Nothing changed: it is gone.")
    assert said["before"] == {"id": "gone", "sha256": None}
    assert Path(said["report"]).is_file()


def test_what_was_promoted_is_told_so_even_by_a_night_that_failed_to_tell(
    registry: Registry, tmp_path: Path
) -> None:
    proof = {"promoted": True, "engine": "fresh", "gain": 0.1, "gain_interval": [0.05, 0.15]}
    said = tell(night(tmp_path), plan(shipped_id()), proof, registry, trouble="three tries")
    assert (said["outcome"], said["problems"]) == ("promoted", ["three tries"])


def test_a_check_that_found_no_number_says_so(registry: Registry, tmp_path: Path) -> None:
    check = told_of(Check(check="error", found=None, wanted="at most 1", passed=False))
    said = tell(night(tmp_path), plan(shipped_id()), {"gate": [check]}, registry)
    assert said["outcome"] == "kept"
    assert "(error: no number, wanted at most 1)" in said["verdict"]


def test_a_lifter_that_gives_no_numbers_is_refused_in_a_sentence() -> None:
    lift = load_engine().lift_many

    def broken(*seen: np.ndarray) -> dict[str, np.ndarray]:
        found = lift(*seen)
        return found | {"canonical": np.full_like(found["canonical"], np.nan)}

    with pytest.raises(Refusal, match="no numbers"):
        reference(_finite(broken))


def test_files_of_one_name_are_told_apart() -> None:
    files = [Path("a/people.npz"), Path("b/people.npz"), Path("c/others.npz")]
    assert list(_named(files)) == ["a/people.npz", "b/people.npz", "others.npz"]
    assert list(_named(files).values()) == files
