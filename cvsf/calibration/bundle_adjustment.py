"""Bundle adjustment of cameras from one moving body: Levenberg-Marquardt, the joints eliminated.

Unknown are the joints of every instant, the cameras and the body's measures. An instant's joints
(and, where cameras pan, its rotations and focal lengths) touch no other instant's, so they leave
by the Schur complement and what is solved together stays small (Triggs et al., Bundle
Adjustment: A Modern Synthesis, 2000, section 6).
"""

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import (
    Problem,
    State,
    System,
    cost,
    linearise,
    moved,
    shared_columns,
)
from cvsf.multiview.reprojection import CENTRE, COLUMNS
from cvsf.multiview.rotation import skew

Real = npt.NDArray[np.float64]

_MOST_DAMPING = 1e8
_SETTLED = 1e-4  # a round that lowers the cost by less is the last


def adjust(problem: Problem, state: State, rounds: int) -> tuple[State, float]:
    """The state after at most so many rounds, and its cost."""
    damping, least = 1e-3, np.inf
    for _ in range(rounds):
        system = linearise(problem, state)
        before = cost(problem, state)
        accepted = None
        while accepted is None and damping < _MOST_DAMPING:
            trial = moved(problem, state, *_step(system, damping))
            after = cost(problem, trial)
            if np.isfinite(after) and after < before:
                accepted = trial
                damping = max(damping / 5, 1e-9)
            else:
                damping *= 6
        if accepted is None:
            return state, before
        state, least = accepted, after
        if before - after < _SETTLED * before:
            break
    return state, least


def covariance(problem: Problem, state: State) -> tuple[Real, Real]:
    """Standard deviations (V, COLUMNS) of still cameras in their columns' units, and (M,) of the
    measures; the noise is that of `pixels.sigma_px`.
    """
    system = linearise(problem, state)
    reduced, _ = _reduced(system, 0.0)
    columns = shared_columns(problem, state.cameras)
    reduced += _turning_all(problem, state, columns, reduced)
    inverse = np.linalg.pinv(reduced, hermitian=True)
    spread = np.sqrt(np.maximum(np.diag(inverse), 0))
    cameras = np.zeros(state.cameras.centres.shape[0] * COLUMNS)
    cameras[columns] = spread[: len(columns)]
    return cameras.reshape(-1, COLUMNS), spread[len(columns) :]


def _turning_all(
    problem: Problem, state: State, columns: npt.NDArray[np.intp], reduced: Real
) -> Real:
    """Information that pins the world's own turning, which panning cameras leave open."""
    if not state.cameras.pan:
        return np.zeros_like(reduced)
    centres = state.cameras.centres
    whole = np.zeros((len(centres), COLUMNS, 3))
    whole[:, CENTRE] = -skew(centres - centres[problem.reference])
    turning = np.zeros((len(reduced), 3))
    turning[: len(columns)] = whole.reshape(-1, 3)[columns]
    turning, _ = np.linalg.qr(turning)
    return np.asarray(np.trace(reduced) * turning @ turning.T)


def _reduced(system: System, damping: float) -> tuple[Real, tuple[Real, Real]]:
    """Schur complement, and what is needed to come back."""
    each = np.arange(system.local.shape[-1])
    local = system.local.copy()
    local[:, each, each] *= 1 + damping
    local[:, each, each] += 1e-9
    solved = np.linalg.solve(
        local, np.concatenate([system.coupling, system.local_right[..., None]], -1)
    )
    across, alone = solved[..., :-1], solved[..., -1]
    reduced = system.shared - np.einsum("nls,nlt->st", system.coupling, across, optimize=True)
    return reduced, (across, alone)


def _step(system: System, damping: float) -> tuple[Real, Real]:
    """Changes of what is local (N, L) and shared (S,)."""
    reduced, (across, alone) = _reduced(system, damping)
    each = np.arange(len(reduced))
    reduced[each, each] += damping * np.diag(system.shared) + 1e-9
    right = system.shared_right - np.einsum("nls,nl->s", system.coupling, alone)
    shared = np.linalg.solve(reduced, right)
    return alone - across @ shared, shared
