"""What `cvsf calibrate` is given, one session at a time: what its cameras saw, lifted; the truth
apart.

A multi-view file, a recorded session or a filmed clip: calibration sees the same of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvsf.engine.engine import Engine
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from train.data.clip import is_clip, read_clip
from train.data.ground_truth import Reality, reality
from train.data.instants import Instants, joined
from train.data.npz import read_file
from train.data.read import Choice
from train.data.sessions import read_session


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed:
    """One session: what may be used, and what it is scored by."""

    name: str
    observations: LiftedObservations
    fused: Array  # (N, J, 3) the lifter's own fusion, body frame
    real: Reality | None

    @property
    def duration_s(self) -> float:
        """First instant to last."""
        return float(np.ptp(self.observations.t_s)) if len(self.observations) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reel:
    """All the sessions of one path, not lifted yet."""

    instants: Instants
    clip: Reality | None = None

    def __len__(self) -> int:
        return len(self.instants.sessions)

    @property
    def cameras(self) -> tuple[str, ...]:
        """V names."""
        return self.instants.cameras or tuple(
            f"cam{view}" for view in range(self.instants.confidence.shape[1])
        )

    def sessions(
        self, engine: Engine, views: int, seconds: float = float("inf")
    ) -> Iterator[Filmed]:
        """One after the other, of the first so many views and seconds."""
        names = np.array(self.instants.session)
        for name in self.instants.sessions:
            part = self.instants.take(names == name)
            real = self.clip or reality(part)
            rows = np.argsort(part.t_s, kind="stable")
            rows = rows[part.t_s[rows] - part.t_s.min() <= seconds]
            part = replace(part.take(rows), cameras=self.cameras)
            real = None if real is None else real.some(rows, slice(views))
            yield _filmed(name, part, real, engine, views)


def read_reel(path: Path, chosen: Choice) -> Reel:
    """A file, a session or a clip; Refusal says what it is not."""
    if path.is_dir() and chosen.names:
        raise Refusal(f"{path} does not say who is in it; subjects are of multi-view files")
    if path.is_dir() and is_clip(path):
        instants, real = read_clip(path)
        return Reel(instants=instants, clip=real)
    if path.is_dir():
        stretches = list(read_session(path))
        if not stretches:
            raise Refusal(f"{path} holds no 2D poses; record with --record frames or poses")
        return Reel(instants=joined(stretches))
    instants = chosen.learned(read_file(path))
    if not len(instants):
        raise Refusal(f"no instant of {path} is of the chosen subjects; name fewer or others")
    return Reel(instants=instants)


def _filmed(name: str, part: Instants, real: Reality | None, engine: Engine, views: int) -> Filmed:
    fused: list[Array] = []

    def lift(*pixels: Array) -> dict[str, Array]:
        lifted = engine.lift_many(*pixels)
        fused.append(lifted["fused"])
        return lifted

    pixels = (part.keypoints_px, part.confidence, part.image_px)
    first: tuple[Any, ...] = tuple(array[:, :views] for array in pixels)
    seen = lift_observations(lift, engine.joint_set, part.cameras[:views], part.t_s, first)
    return Filmed(
        name=name,
        observations=seen,
        fused=np.concatenate(fused),
        real=real,
    )
