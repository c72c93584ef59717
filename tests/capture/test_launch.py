"""`cvsf-capture`: what is refused before the first process starts."""

import math
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from capture.launch import capture
from capture.supervisor import Child
from cvsf.hub_config import HubConfig, load_hub_config
from cvsf.multiview.known_lenses import KEPT, lenses_to_toml
from cvsf.system.errors import Refusal
from tests.support.lenses import made_lens

app = typer.Typer()
app.command()(capture)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--source", "sim", "--duration", "0"], "--duration is 0, expected seconds above 0"),
        (["--source", "sim", "--fps", "-1"], "--fps is -1, expected pictures a second above 0"),
        (["--source", "sim", "--size", "640"], "expected WIDTHxHEIGHT in pixels"),
        (["--source", "sim", "--seed", "-1"], "seed"),
        (["--source", "sim", "--hub", "a:b"], "HOST:PORT"),
        (["--source", "{clip}", "--truth", "t.npz"], "for simulated cameras only; leave it out"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_any_process_starts(
    tmp_path: Path, words: list[str], sentence: str
) -> None:
    clip = tmp_path / "a.avi"
    video = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 20, (32, 32))
    video.write(np.zeros((32, 32, 3), np.uint8))
    video.release()
    given = [word.format(clip=clip) for word in words]
    with pytest.raises(Refusal, match=sentence):
        CliRunner().invoke(
            app, ["--cams", "1", "--data", str(tmp_path), *given], catch_exceptions=False
        )
    assert not (tmp_path / "sessions").exists()


@pytest.mark.parametrize(("line", "detector"), [("", "sim-skier"), ("detector = 'own'\n", "own")])
def test_the_hub_gets_its_whole_configuration_checked_in_a_file_it_can_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, detector: str
) -> None:
    started: list[Child | None] = []

    def supervise(hub: Child | None, nodes: list[Child], duration: float | None) -> int:
        started.append(hub)
        return 0

    monkeypatch.setattr("capture.launch.supervise", supervise)
    file = tmp_path / "cvsf.toml"
    file.write_text(f"[hub]\nrecord = 'poses'\nsurvey_hz = inf\nweb_port = 7000\n{line}")
    words = ["--cams", "1", "--source", "sim", "--data", str(tmp_path), "--config", str(file)]
    words += ["--web-port", "7001", "--bone", "thigh=0.45"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    (hub,) = started
    assert hub is not None
    path = Path(hub.command[hub.command.index("--config") + 1])
    expected = HubConfig(
        record="poses",
        survey_hz=math.inf,
        web_port=7001,
        bone="thigh=0.45",
        detector=detector,
        kept_lenses=False,
    )
    for _ in range(2):  # a hub that is started anew reads it again
        assert load_hub_config(path, {}) == expected
    (descriptor,) = hub.inherits
    os.close(descriptor)


def test_the_hub_gets_the_lenses_of_its_cameras_and_for_a_simulation_none_that_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = []

    def supervise(hub: Child | None, nodes: list[Child], duration: float | None) -> int:
        assert hub is not None
        configs.append(load_hub_config(Path(hub.command[hub.command.index("--config") + 1]), {}))
        return 0

    monkeypatch.setattr("capture.launch.supervise", supervise)
    (tmp_path / KEPT).write_text(lenses_to_toml({"left": made_lens(900)}))
    (tmp_path / "lenses.toml").write_text(lenses_to_toml({"right": made_lens(1000)}))
    words = ["--cams", "2", "--source", "sim", "--names", "left,right", "--data", str(tmp_path)]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    words += ["--intrinsics", str(tmp_path / "lenses.toml")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert [list(config.lenses) for config in configs] == [[], ["right"]]
    assert configs[1].intrinsics is None
    words[words.index("left,right")] = "a,b"
    with pytest.raises(Refusal, match="has the cameras right, expected one of a, b: rename them"):
        CliRunner().invoke(app, words, catch_exceptions=False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--record", "all"], "^--record is 'all'"),
        (["--web-port", "70000"], "^--web-port is 70000"),
        (["--height", "182"], "^--height is 182"),
        (["--host", "0.0.0.0"], "is open to other machines"),
    ],
)
def test_what_the_hub_would_refuse_is_refused_before_it_starts(
    tmp_path: Path, words: list[str], sentence: str
) -> None:
    given = ["--cams", "1", "--source", "sim", "--data", str(tmp_path), *words]
    with pytest.raises(Refusal, match=sentence):
        CliRunner().invoke(app, given, catch_exceptions=False)


def test_the_version_is_printed_without_a_camera() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert said.exit_code == 0
    assert re.fullmatch(r"cvsf-capture \d+\.\S+\n", said.stdout)
