"""Films on disk, and what is said of one that cannot be written."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from cvsf.shapes import Picture
from cvsf.system.errors import Refusal
from train.rig_pictures.movie_file import check_movie, write_movie


def pictures(count: int = 12) -> Iterator[Picture]:
    """A white square that moves to the right over blue, in the same memory."""
    picture = np.empty((120, 160, 3), np.uint8)
    for number in range(count):
        picture[:] = (0, 0, 200)
        picture[40:80, 10 * number : 10 * number + 40] = 255
        yield picture


def squares(found: list[Any]) -> list[int]:
    """Where the square of each RGB picture begins, to the nearest ten."""
    return [round(float(np.flatnonzero(p[60, :, 0] > 127)[0]), -1) for p in found]  # type: ignore[misc]


def test_an_mp4_is_h264_that_browsers_play(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    write_movie(tmp_path / "a.mp4", pictures(), 25)
    with av.open(str(tmp_path / "a.mp4")) as film:
        (stream,) = film.streams.video
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 25
    film = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    found = []
    while (read := film.read())[0]:
        found.append(read[1][..., ::-1])
    film.release()
    assert squares(found) == list(range(0, 120, 10))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "it starts before it is loaded"


def test_a_gif_loops_with_the_colours_of_its_first_picture(tmp_path: Path) -> None:
    write_movie(tmp_path / "a.gif", pictures(), 10)
    found = []
    with Image.open(tmp_path / "a.gif") as film:
        assert film.info["loop"] == 0
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            assert film.info["duration"] == 100
            found.append(np.asarray(film.convert("RGB")))
    assert squares(found) == list(range(0, 120, 10))
    assert found[5][5, 5].tolist() == [0, 0, 200]


def test_a_film_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"expected the name of a \.mp4 or \.gif file"):
        check_movie(tmp_path / "a.avi")
    with pytest.raises(Refusal, match="which is not a folder; create it first"):
        check_movie(tmp_path / "none" / "a.gif")
    (tmp_path / "a.gif").mkdir()
    with pytest.raises(Refusal, match=r"expected the name of a \.mp4 or \.gif file"):
        check_movie(tmp_path / "a.gif")
    with pytest.raises(Refusal, match="name another --movie"):
        write_movie(tmp_path / "a.gif", pictures(2), 10)
    check_movie(tmp_path / "b.gif")


def test_an_mp4_names_the_package_that_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install '\.\[rtsp\]', or name a \.gif"):
        check_movie(tmp_path / "a.mp4")
    check_movie(tmp_path / "a.gif")
