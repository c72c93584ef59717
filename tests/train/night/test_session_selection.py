"""Which sessions a night learns from and which it keeps back."""

import json
import shutil
from pathlib import Path

from tests.support.filmed import Filmed
from tests.support.takes import taken
from train.night.session_selection import pick


def test_sessions_that_are_not_sealed_or_were_used_are_not_picked(
    slope: tuple[Path, list[Filmed]], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(slope[0], data)
    names = sorted(path.name for path in (data / "sessions").iterdir())
    manifest = data / "sessions" / names[0] / "session.json"
    manifest.write_text(manifest.read_text().replace('"sealed": true\n}', '"sealed": false\n}'))
    plan = pick(data / "sessions", data / "nights", "a")
    assert (plan.learned, plan.kept_back) == ((names[1],), (names[2],))
    assert "not sealed" in plan.left_out[names[0]]
    report = {
        "outcome": "promoted",
        "sessions": {"learned": [{"name": names[1]}], "kept_back": [{"name": names[2]}]},
    }
    night = data / "nights" / "n"
    night.mkdir(parents=True)
    (night / "report.json").write_text(json.dumps(report))
    for take in (4, 5):
        taken(data, take, 4.0)
    plan = pick(data / "sessions", data / "nights", "a")
    assert [name[-5:] for name in plan.learned + plan.kept_back] == ["take4", "take5"]
    assert (plan.rehearsed, plan.earlier) == ((names[1],), (names[2],))


def test_a_session_that_differs_from_its_seal_is_left_out_until_it_is_restored(
    slope: tuple[Path, list[Filmed]], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(slope[0], data)
    (segment,) = next(iter(sorted((data / "sessions").iterdir()))).glob("*.mcap")
    whole = segment.read_bytes()
    segment.write_bytes(whole[: len(whole) // 2])
    plan = pick(data / "sessions", data / "nights", "a")
    assert len(plan.learned + plan.kept_back) == 2
    assert "does not have the sealed sha256" in plan.left_out[segment.parent.name]
    segment.write_bytes(whole)
    assert len(pick(data / "sessions", data / "nights", "a").learned) == 2
