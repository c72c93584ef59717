"""What may be asked of a source."""

import pytest

from capture.sources.source import SourceConfig, parse_size
from cvsf.system.errors import Refusal


def test_a_size_is_read_as_width_by_height_and_other_forms_are_refused() -> None:
    assert parse_size(None) is None
    assert parse_size("1280x720") == (1280, 720)
    assert parse_size("640X480") == (640, 480)
    for wrong in ("", "640", "640x", "640x15", "-640x480", "640x480x3", "axb"):
        with pytest.raises(Refusal, match="expected WIDTHxHEIGHT in pixels, such as 1280x720"):
            parse_size(wrong)


def test_a_source_is_asked_for_nothing_by_default() -> None:
    config = SourceConfig()
    assert (config.size, config.fps, config.truth, config.start_ns) == (None, None, None, None)
    assert (config.seed, config.realtime) == (0, False)
    assert 1 <= config.jpeg_quality <= 100
