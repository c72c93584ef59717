"""`cvsf-capture`: what is refused before the first process starts."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from capture.launch import capture
from cvsf.system.errors import Refusal

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
        (["--source", "{clip}", "--truth", "t.npz"], "real cameras do not; leave it out"),
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


def test_the_version_is_printed_without_a_camera() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert said.exit_code == 0
    assert re.fullmatch(r"cvsf-capture \d+\.\S+\n", said.stdout)
