"""What was recorded can be listed, shown, verified and recovered."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cvsf.messages import Instant
from cvsf.session.reader import read_manifest
from cvsf.session.writer import SessionWriter
from cvsf.system.errors import Refusal
from runtime.commands.sessions import sessions

KEYS = {
    "path", "name", "started", "duration_s", "cameras", "instants", "frames", "sealed", "verified",
}  # fmt: skip


def make_session(folder: Path, *, killed: bool = False) -> None:
    writer = SessionWriter(folder)
    for index in range(20):
        t_ns = index * 50_000_000
        writer.write(Instant(index=index, t_ns=t_ns, frames={}, expected=(), spread_ns=0))
    writer.sync()
    if killed:  # what a killed hub leaves is what lies there now
        shutil.copytree(folder, folder.with_name("copy"))
    writer.close()
    if killed:
        shutil.rmtree(folder)
        folder.with_name("copy").rename(folder)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_session(tmp_path / "sessions" / "2026-11-22T14-03-11Z-morning")
    make_session(tmp_path / "sessions" / "2026-11-23T09-00-00Z-giant-slalom", killed=True)
    return tmp_path


def call(*words: str, code: int = 0) -> str:
    app = typer.Typer()
    app.command()(sessions)
    result = CliRunner().invoke(app, words, env={"COLUMNS": "80"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return result.stdout


def call_json(*words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call(*words, "--json", code=code).splitlines()[-1])
    return found


def test_the_list_has_the_agreed_keys_oldest_first(data: Path) -> None:
    listed = call_json("--data", str(data))["sessions"]
    assert all(set(entry) >= KEYS for entry in listed)
    assert [Path(entry["path"]).name[-7:] for entry in listed] == ["morning", "-slalom"]
    assert listed[0]["instants"] == 20
    assert listed[0]["duration_s"] == pytest.approx(0.95)
    assert [entry["sealed"] for entry in listed] == [True, False]
    assert [entry["verified"] for entry in listed] == [None, None]


def test_the_list_is_readable_at_80_columns(data: Path) -> None:
    lines = call("--data", str(data)).splitlines()
    assert all(len(line) <= 80 for line in lines)
    for title in (
        "session",
        "time",
        "cams",
        "instants",
        "frames",
        "size",
        "sealed",
        "verified",
    ):
        assert title in lines[0]


def test_verifying_finds_a_changed_byte(data: Path) -> None:
    folder = data / "sessions" / "2026-11-22T14-03-11Z-morning"
    assert call_json("--data", str(data), "morning", "--verify")["sessions"][0]["verified"] is True
    path = folder / read_manifest(folder).segments[0].file
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    shown = call_json("--verify", str(folder), code=1)["sessions"][0]
    assert shown["verified"] is False
    assert shown["damaged"] == [path.name]
    assert "DAMAGED" in call("--verify", str(folder), code=1)
    listed = call_json("--data", str(data), "--verify", code=1)["sessions"]
    assert listed[0]["verified"] is False


def test_an_interrupted_session_is_recovered_when_asked(data: Path) -> None:
    listed = call_json("--data", str(data), "--recover")["sessions"]
    assert [entry["sealed"] for entry in listed] == [True, True]
    assert (listed[1]["instants"], listed[1]["recovered"]) == (20, 1)


def test_one_session_is_shown_with_its_segments(data: Path) -> None:
    shown = call("--data", str(data), "morning")
    assert "seg-000000.mcap" in shown
    assert "closed" in shown
    manifest = call_json("--data", str(data), "morning")["manifest"]
    assert manifest["schema"] == 1
    assert manifest["segments"][0]["counts"]["/instant"] == 20


def test_an_empty_data_folder_is_listed_and_an_unknown_session_is_refused(tmp_path: Path) -> None:
    assert "No sessions" in call("--data", str(tmp_path))
    assert call_json("--data", str(tmp_path)) == {"sessions": []}
    with pytest.raises(Refusal, match="not a session"):
        call("--data", str(tmp_path), "nothing")
