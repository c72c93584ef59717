"""Which pictures are looked at: not a frozen view's, not one whose moment nobody knows."""

import numpy as np
import simplejpeg

from runtime.ingest.frame_decoder import FrameDecoder
from tests.support.material import make_frame


def jpeg(grey: int) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.full((48, 64, 3), grey, np.uint8)))


def test_a_view_that_freezes_is_left_out_and_counted_until_it_moves_again() -> None:
    pictures = FrameDecoder(max_uncertainty_ms=300)
    still = jpeg(100)
    looked_at = [
        bool(pictures.usable({"cam0": make_frame("cam0", seq, still)})) for seq in range(20)
    ]
    assert looked_at == [True] * 11 + [False] * 9  # half a second may look alike
    assert pictures.left_out == {"cam0: frozen": 9}
    assert pictures.usable({"cam0": make_frame("cam0", 20, jpeg(101))})


def test_a_picture_whose_moment_is_not_known_is_left_out_and_counted() -> None:
    pictures = FrameDecoder(max_uncertainty_ms=20)
    frames = {
        "cam0": make_frame("cam0", 0, jpeg(1), uncertainty_ns=19_000_000),
        "cam1": make_frame("cam1", 0, jpeg(2), uncertainty_ns=21_000_000),
    }
    assert list(pictures.usable(frames)) == ["cam0"]
    assert pictures.left_out == {"cam1: moment not known": 1}


def test_a_broken_picture_is_left_out_and_the_others_are_decoded() -> None:
    pictures = FrameDecoder(max_uncertainty_ms=300)
    frames = {"cam0": make_frame(), "cam1": make_frame("cam1", 0, jpeg(200))}
    (decoded,) = pictures.decode(frames).values()
    assert decoded.shape == (48, 64, 3)
    assert abs(float(decoded.mean()) - 200) < 2
    assert pictures.left_out == {"cam0: broken picture": 1}
