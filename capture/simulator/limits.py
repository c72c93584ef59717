"""Limits of the simulator's options, checked before any of it is loaded.

The supervisor checks them once, so that four cameras do not refuse one after the other.
"""

from capture.sources.source import SourceConfig
from cvsf.system.errors import Refusal

USUAL_SIZE, USUAL_FPS = (640, 480), 20.0
_SMALLEST_PX, _LARGEST_PX = 64, 4096
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 240
"""Guesses, not measured."""


def drawable(size: tuple[int, int]) -> tuple[int, int]:
    """The given size itself, (width, height) in px, if the simulator can draw it. Refusal if a side
    is under 64 or above 4096 px; both limits are allowed.
    """
    if min(size) < _SMALLEST_PX or max(size) > _LARGEST_PX:
        raise Refusal(
            f"the simulator was asked for {size[0]}x{size[1]}: expected sides of {_SMALLEST_PX} to"
            f" {_LARGEST_PX}."
        )
    return size


def check(config: SourceConfig) -> None:
    """Refusal if the simulator cannot comply: sides beyond 64 to 4096 px, a rate beyond 0.1 to 240
    Hz, a seed below 0, or a truth file in a folder that does not exist. Options that are None have
    usual values.
    """
    drawable(config.size or USUAL_SIZE)
    fps = USUAL_FPS if config.fps is None else config.fps
    if not _SLOWEST_HZ <= fps <= _FASTEST_HZ:
        raise Refusal(
            f"the simulator was asked for {fps:g} frames a second: expected {_SLOWEST_HZ} to"
            f" {_FASTEST_HZ}."
        )
    if config.seed < 0:
        raise Refusal(f"the simulator's seed is {config.seed}: expected 0 or more.")
    if config.truth and not config.truth.parent.is_dir():
        raise Refusal(
            f"{config.truth.parent} is no folder: the truth of a run goes into one that exists."
        )
