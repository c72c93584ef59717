"""What the simulator can be asked for: the limits are in, what is beyond them is refused."""

from pathlib import Path

import pytest

from capture.simulator.limits import USUAL_FPS, USUAL_SIZE, check, drawable
from capture.sources.source import SourceConfig
from cvsf.system.errors import Refusal


@pytest.mark.parametrize("size", [(64, 64), (4096, 4096), (64, 4096), USUAL_SIZE])
def test_a_size_within_the_limits_is_given_back(size: tuple[int, int]) -> None:
    assert drawable(size) == size


@pytest.mark.parametrize("size", [(63, 480), (640, 63), (4097, 480), (640, 4097)])
def test_a_size_beyond_a_limit_is_refused_and_named(size: tuple[int, int]) -> None:
    with pytest.raises(Refusal, match=f"{size[0]}x{size[1]}: expected sides of 64 to 4096"):
        drawable(size)
    with pytest.raises(Refusal, match=f"{size[0]}x{size[1]}"):
        check(SourceConfig(size=size))


@pytest.mark.parametrize("fps", [0.05, 0.0, -20.0, 241.0, float("nan"), float("inf")])
def test_a_rate_beyond_the_limits_is_refused_and_the_usual_one_is_within(fps: float) -> None:
    assert 0.1 <= USUAL_FPS <= 240
    for within in (0.1, 240.0, None):
        check(SourceConfig(fps=within))
    with pytest.raises(Refusal, match=r"frames a second: expected 0\.1 to 240"):
        check(SourceConfig(fps=fps))


def test_a_seed_below_zero_is_refused() -> None:
    check(SourceConfig(seed=0))
    with pytest.raises(Refusal, match="seed is -1: expected 0 or more"):
        check(SourceConfig(seed=-1))


def test_a_truth_file_in_a_folder_that_is_missing_is_refused(tmp_path: Path) -> None:
    check(SourceConfig(truth=tmp_path / "truth.npz"))
    with pytest.raises(Refusal, match="missing is no folder"):
        check(SourceConfig(truth=tmp_path / "missing" / "truth.npz"))
