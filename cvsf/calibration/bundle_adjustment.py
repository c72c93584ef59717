"""Bundle adjustment of cameras from one moving body: Levenberg-Marquardt with a Schur complement.

The unknowns are the joints of every instant, the cameras and the bone lengths. The joints of an
instant (and, where cameras pan, its rotations and focal lengths) do not depend on other instants,
so the Schur complement eliminates them (Triggs et al., Bundle Adjustment: A Modern Synthesis, 2000,
section 6).
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.normal_equations import (
    Problem,
    State,
    System,
    cost,
    linearise,
    shared_columns,
    stepped,
)
from cvsf.calibration.result import LEAST_NOISE
from cvsf.multiview.reprojection import estimate_noise
from cvsf.multiview.rig import CENTRE, COLUMNS
from cvsf.multiview.rotation import skew
from cvsf.shapes import Float, Int

Real = npt.NDArray[np.float64]

_FAR, NEAR = 1e-3, 1e-7
"""Damping at first: where the state may be far from the solution, and near it. Focal lengths and
distances act alike; near the solution 1e-3 slows them so much that a fit seems to have converged
(four views, 20 takes: centres 0.63 % of the rig off, with 1e-7 0.43 %)."""
_MOST_DAMPING = 1e8
_CONVERGED = 1e-4  # a round that lowers the cost by a smaller share is the last
# guesses, not measured


def adjust(
    problem: Problem, state: State, rounds: int, *, damping: float = _FAR
) -> tuple[State, float]:
    """Bundle adjustment by Levenberg-Marquardt (Triggs et al. 2000): the state of least cost after
    at most `rounds` rounds, and its cost (no unit). Lengths are in mean bones. If no step lowers
    the cost, the state is returned as it was. LinAlgError if the equations cannot be solved.
    """
    least = np.inf
    for _ in range(rounds):
        system = linearise(problem, state)
        before = cost(problem, state)
        accepted = None
        while accepted is None and damping < _MOST_DAMPING:
            trial = stepped(problem, state, *_step(system, damping))
            after = cost(problem, trial)
            if np.isfinite(after) and after < before:
                accepted = trial
                damping = max(damping / 5, 1e-9)
            else:
                damping *= 6
        if accepted is None:
            return state, before
        state, least = accepted, after
        if before - after < _CONVERGED * before:
            break
    return state, least


def readjust(problem: Problem, state: State, rounds: int) -> tuple[Problem, State]:
    """Adjusted again, at the noise estimated from the residuals; the problem has that noise."""
    noise = estimate_noise(problem.keypoints, state.rig, state.joints)
    noise = max(noise, problem.keypoints.noise_share / 3, LEAST_NOISE)
    problem = replace(problem, keypoints=replace(problem.keypoints, noise_share=noise))
    state, _ = adjust(problem, state, rounds, damping=NEAR)
    return problem, state


def deviations(problem: Problem, state: State) -> tuple[Float[Real, "V 11"], Float[Real, "M"]]:
    """Standard deviations of the cameras and of the M bone lengths (mean bones), at the noise of
    `keypoints.sigma_px`.

    A camera has the columns of `cvsf.multiview.rig`: rad, mean bones, log focal length, k1, s; 0
    where a column is fixed, or unknown at each instant as the rotation of a panning camera.
    """
    system = linearise(problem, state)
    reduced, _ = _reduced(system, 0.0)
    columns = shared_columns(problem, state.rig)
    reduced += _rotation_gauge(problem, state, columns, reduced)
    inverse = np.linalg.pinv(reduced, hermitian=True)
    spread = np.sqrt(np.maximum(np.diag(inverse), 0))
    cameras = np.zeros(len(state.rig.cameras) * COLUMNS)
    cameras[columns] = spread[: len(columns)]
    return cameras.reshape(-1, COLUMNS), spread[len(columns) :]


def _rotation_gauge(
    problem: Problem,
    state: State,
    columns: Int[npt.NDArray[np.intp], "C"],
    reduced: Float[Real, "S S"],
) -> Float[Real, "S S"]:
    """Information on the world's rotation, the gauge that panning cameras leave free."""
    if not state.rig.is_panning:
        return np.zeros_like(reduced)
    centres = state.rig.centres[0]
    rotation_columns = np.zeros((len(centres), COLUMNS, 3))
    rotation_columns[:, CENTRE] = -skew(centres - centres[problem.reference])
    gauge = np.zeros((len(reduced), 3))
    gauge[: len(columns)] = rotation_columns.reshape(-1, 3)[columns]
    gauge, _ = np.linalg.qr(gauge)
    return np.asarray(np.trace(reduced) * gauge @ gauge.T)


def _reduced(
    system: System, damping: float
) -> tuple[Float[Real, "S S"], tuple[Float[Real, "N L S"], Float[Real, "N L"]]]:
    """The Schur complement, and the local solutions for the back-substitution."""
    each = np.arange(system.local.shape[-1])
    local = system.local.copy()
    local[:, each, each] *= 1 + damping
    local[:, each, each] += 1e-9
    solved = np.linalg.solve(
        local, np.concatenate([system.coupling, system.local_right[..., None]], -1)
    )
    across, own = solved[..., :-1], solved[..., -1]
    reduced = system.shared - np.einsum("nls,nlt->st", system.coupling, across, optimize=True)
    return reduced, (across, own)


def _step(system: System, damping: float) -> tuple[Float[Real, "N L"], Float[Real, "S"]]:
    """The steps of the local and the shared unknowns."""
    reduced, (across, own) = _reduced(system, damping)
    each = np.arange(len(reduced))
    reduced[each, each] += damping * np.diag(system.shared) + 1e-9
    right = system.shared_right - np.einsum("nls,nl->s", system.coupling, own)
    shared = np.linalg.solve(reduced, right)
    return own - across @ shared, shared
