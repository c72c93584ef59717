"""Motion JPEG made whole: padding off, Huffman tables in, and nothing of what is no picture."""

import cv2
import numpy as np
import pytest
import simplejpeg

from capture.sources.mjpeg import STANDARD_TABLES, whole_jpeg
from tests.support.webcam import SIZE


def jpeg_of(level: int, size: tuple[int, int] = SIZE) -> bytes:
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    return bytes(simplejpeg.encode_jpeg(picture, quality=90, colorsubsampling="422"))


def without_tables(jpeg: bytes) -> bytes:
    position, kept = 2, jpeg[:2]
    while jpeg[position + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if jpeg[position + 1] != 0xC4:
            kept += jpeg[position : position + length]
        position += length
    return kept + jpeg[position:]


def test_missing_huffman_tables_are_put_in() -> None:
    jpeg = jpeg_of(90)
    bare = without_tables(jpeg)
    assert len(bare) < len(jpeg)
    whole = whole_jpeg(bare)
    assert whole is not None
    assert STANDARD_TABLES in whole
    np.testing.assert_array_equal(simplejpeg.decode_jpeg(whole), simplejpeg.decode_jpeg(jpeg))
    np.testing.assert_array_equal(
        cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR),
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR),
    )


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\x00" * 64, b"\xff\xd8\xff\xd9"])
def test_bytes_that_are_no_jpeg_give_none(data: bytes) -> None:
    assert whole_jpeg(data) is None


def test_bytes_behind_the_end_of_a_picture_are_cut_off() -> None:
    jpeg = jpeg_of(40)
    assert whole_jpeg(jpeg) == jpeg
    assert whole_jpeg(jpeg + bytes(100)) == jpeg


def test_a_picture_cut_short_is_none() -> None:
    jpeg = jpeg_of(40)
    assert whole_jpeg(jpeg[:-2]) is None
    assert whole_jpeg(jpeg[: len(jpeg) // 2]) is None


def test_the_standard_huffman_tables_have_the_length_in_their_header() -> None:
    assert STANDARD_TABLES[:2] == b"\xff\xc4"
    assert int.from_bytes(STANDARD_TABLES[2:4], "big") == len(STANDARD_TABLES) - 2 == 418
