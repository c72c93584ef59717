"""`cvsf models` and `cvsf promote`, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cvsf.registry.registry import Registry, shipped_id
from cvsf.system.errors import Refusal
from runtime.commands.models import models, promote
from tests.support.engines import tiny


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_a_compiled_folder_is_promoted_listed_and_gone_back_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(str(tiny(tmp_path / "compiled", "better")), "it is", tmp_path, as_json=True)
    assert said(capsys) == {"live": "better", "before": shipped_id()}
    models(data=tmp_path, as_json=True)
    listed = said(capsys)
    assert {one["id"]: one["live"] for one in listed["engines"]} == {
        "better": True,
        shipped_id(): False,
    }
    assert {"created", "variant", "parent", "scores", "sha256", "trouble"} <= set(
        listed["engines"][0]
    )
    models("rollback", why="it is not", data=tmp_path, as_json=True)
    assert said(capsys)["live"] == shipped_id()
    models("show", "better", data=tmp_path, as_json=True)
    shown = said(capsys)
    assert [one["why"] for one in shown["history"]] == ["it is", "it is not"]
    assert shown["manifest"]["parent"] == shipped_id()
    models("add", str(tiny(tmp_path / "another", "third")), data=tmp_path, as_json=True)
    assert said(capsys)["engine"] == "third"
    assert Registry(tmp_path / "models").live_id() == shipped_id()


@pytest.mark.parametrize(
    ("act", "engine", "expected"),
    [
        ("polish", None, "expected show, promote, add or rollback"),
        ("show", None, "needs an engine"),
        ("show", "nobody", shipped_id()),
        ("show", "empty", "holds no engine"),
        ("promote", "nobody", shipped_id()),
        ("add", "nowhere", r"manifest\.json"),
        ("rollback", "better", "cvsf models promote better"),
        ("rollback", None, "before"),
    ],
)
def test_an_action_on_models_that_cannot_be_done_is_refused_with_its_reason(
    tmp_path: Path, act: str, engine: str | None, expected: str
) -> None:
    (tmp_path / "models" / "empty").mkdir(parents=True)
    with pytest.raises(Refusal, match=expected):
        models(act, engine, data=tmp_path)


def test_the_list_fits_80_columns_and_ends_well(tmp_path: Path) -> None:
    Registry(tmp_path / "models").add(tiny(tmp_path / "compiled", "night-" + "x" * 60))
    (tmp_path / "models" / "bare").mkdir()
    (tmp_path / "models" / "bare" / "lifter.onnx").write_bytes(b"no network")
    words = [sys.executable, "-m", "cvsf", "models", "--data", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("●" in line and shipped_id() in line for line in lines)
    assert "bare" in done.stdout
