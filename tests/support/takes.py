"""Takes of the simulated slope as sealed sessions, as a hub would have recorded them."""

from collections.abc import Callable
from pathlib import Path

from cvsf.messages import MultiviewPose
from cvsf.session.writer import SessionWriter
from tests.support.filmed import Filmed, film_skier

SEED, BIAS = 1_000_077, 0.02
Spoil = Callable[[MultiviewPose], MultiviewPose]


def taken(data: Path, take: int, seconds: float = 10.0, spoil: Spoil | None = None) -> Filmed:
    """A sealed session of 2D poses, as a hub would have recorded them."""
    filmed = film_skier(seconds, seed=SEED, take=take, bias_share=BIAS)
    name = f"2026-11-22T10-00-0{take}Z-take{take}"
    writer = SessionWriter(data / "sessions" / name, recording="poses", joint_set="h36m-16")
    for pose in filmed.poses():
        writer.write(spoil(pose) if spoil else pose)
    writer.close()
    return filmed
