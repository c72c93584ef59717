"""What is wrong with a view that does not fit the others, from the joints that they give.

A camera is fitted to joints and keypoints by the direct linear transform (Hartley and Zisserman,
Multiple View Geometry, 2004, section 7.1), which needs no first guess.
"""

import numpy as np
import numpy.typing as npt

from cvsf.diagnosis.attempt import Attempt
from cvsf.diagnosis.canonical_delays import canonical_delays
from cvsf.diagnosis.epipolar_errors import runs
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MIRRORED = "its picture is mirrored, left and right are exchanged; switch mirroring off"
DELAY_CHANGES = (
    "its delay changes from {:+.1f} to {:+.1f} s; frames are missing, or its rate is not what the "
    "stamps say"
)
PANS = "it pans or zooms while the others stand still"
ELSEWHERE = "it shows another person or another place, or its delay changes"
PARTLY = "it fits the others only {}; there it may show another person"

# guesses, not measured
_LEAST_CONFIDENCE = 0.3
_FITS = 0.03  # median error of an instant, over the person's extent
_MOSTLY, _PARTLY, _MORE = 0.7, 0.3, 0.15  # shares of the instants
_WINDOW_S = 1.0
_LEAST_POINTS = 60
_TRIES, _SAMPLE, _ROUNDS = 40, 4, 8  # of RANSAC: instants of a sample; rounds of IRLS
_CHANGE_S = 0.1


def fault_of(observations: LiftedObservations, view: int, others: Attempt) -> str:
    """One clause that says what is wrong with a view: mirrored, a delay that changes, panning,
    partly wrong, or elsewhere. `others` is a sound attempt without it, of the same instants.
    """
    assert others.reconstruction is not None
    joints = others.reconstruction.joints
    keypoints = weighted_keypoints(observations.of_views([view]), 1.0)
    observed = observations.confidence[:, view] > _LEAST_CONFIDENCE
    usable = observed & np.isfinite(joints).all(-1)
    extent = keypoints.extent_px[:, 0]
    as_is = fit_camera(joints, keypoints.keypoints_px[:, 0], usable, extent)
    other = list(observations.joint_set.mirrored)
    exchanged = fit_camera(joints, keypoints.keypoints_px[:, 0][:, other], usable[:, other], extent)
    if exchanged.mean() > max(_PARTLY, as_is.mean() + _MORE):
        return MIRRORED
    changed = _changed_delay(observations, view)
    if changed is not None:
        return DELAY_CHANGES.format(*changed)
    if _windows_fit(joints, keypoints.keypoints_px[:, 0], usable, extent, observations.t_s):
        return PANS
    if as_is.mean() > _PARTLY:
        spans = ", ".join(
            f"{observations.t_s[a] - observations.t_s[0]:.1f} to "
            f"{observations.t_s[b - 1] - observations.t_s[0]:.1f} s"
            for a, b in runs(as_is)
            if b - a > len(as_is) // 20
        )
        return PARTLY.format(f"from {spans}" if spans else "now and then")
    return ELSEWHERE


def fit_camera(
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    usable: Bool[Mask, "N J"],
    extent_px: Float[Real, "N"],
) -> Bool[Mask, "N"]:
    """At which instants the best camera of all samples (RANSAC, then IRLS) projects the joints to
    the keypoints: median error below 3 % of the person's extent. `joints` have any unit.
    """
    rows = np.flatnonzero(usable.sum(1) >= 6)
    if len(rows) < _SAMPLE:
        return np.zeros(len(joints), bool)
    random = np.random.default_rng(0)
    best: Bool[Mask, N] = np.zeros(len(joints), bool)
    for _ in range(_TRIES):
        first = int(random.integers(len(rows)))
        near = rows[max(0, first - len(rows) // 8) : first + len(rows) // 8 + 1]
        some = random.choice(near, min(_SAMPLE, len(near)), replace=False)
        P = _direct_linear(joints[some], keypoints_px[some], usable[some].astype(float))
        fits = _errors(P, joints, keypoints_px, usable, extent_px) < 2 * _FITS
        if fits.sum() > best.sum():
            best = fits
    for _ in range(_ROUNDS):
        if best.sum() < _SAMPLE:
            break
        P = _direct_linear(joints[best], keypoints_px[best], usable[best].astype(float))
        best = _errors(P, joints, keypoints_px, usable, extent_px) < _FITS
    return best


def _direct_linear(
    joints: Float[Real, "M J 3"], keypoints_px: Float[Real, "M J 2"], weight: Float[Real, "M J"]
) -> Float[Real, "3 4"]:
    """The camera matrix of least algebraic error, points and pixels normalised."""
    known = weight > 0
    X, x = joints[known], keypoints_px[known]
    centre, middle = X.mean(0), x.mean(0)
    size, spread = max(float(X.std()), 1e-9), max(float(x.std()), 1e-9)
    X1 = np.concatenate([(X - centre) / size, np.ones((len(X), 1))], 1)
    u, v = ((x - middle) / spread).T
    zero = np.zeros_like(X1)
    rows = np.concatenate(
        [
            np.concatenate([X1, zero, -u[:, None] * X1], 1),
            np.concatenate([zero, X1, -v[:, None] * X1], 1),
        ]
    )
    _, vectors = np.linalg.eigh(rows.T @ rows)
    P = vectors[:, 0].reshape(3, 4)
    to_px = np.array([[spread, 0, middle[0]], [0, spread, middle[1]], [0, 0, 1]])
    to_unit = np.eye(4)
    to_unit[:3, :3] /= size
    to_unit[:3, 3] = -centre / size
    return np.asarray(to_px @ P @ to_unit)


def _errors(
    P: Float[Real, "3 4"],
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    usable: Bool[Mask, "N J"],
    extent_px: Float[Real, "N"],
) -> Float[Real, "N"]:
    """Median error of each instant over the extent; infinite without usable joints."""
    projected = np.nan_to_num(joints) @ P[:, :3].T + P[:, 3]
    depth = np.where(np.abs(projected[..., 2:]) < 1e-9, 1e-9, projected[..., 2:])
    error = np.linalg.norm(projected[..., :2] / depth - keypoints_px, axis=-1)
    ordered = np.sort(np.where(usable, error, np.inf), axis=1)
    middle = np.maximum(usable.sum(1) - 1, 0) // 2
    return np.asarray(ordered[np.arange(len(joints)), middle] / extent_px)


def _windows_fit(
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    usable: Bool[Mask, "N J"],
    extent_px: Float[Real, "N"],
    t_s: Float[Real, "N"],
) -> bool:
    """Whether a camera of its own fits most seconds, as of one that moves slowly."""
    number = np.floor((t_s - t_s[0]) / _WINDOW_S).astype(int)
    good, tried = 0, 0
    for second in np.unique(number):
        rows = (number == second) & (usable.sum(1) >= 6)
        if usable[rows].sum() < _LEAST_POINTS:
            continue
        P = _direct_linear(joints[rows], keypoints_px[rows], usable[rows].astype(float))
        error = _errors(P, joints[rows], keypoints_px[rows], usable[rows], extent_px[rows])
        tried += 1
        good += bool(np.median(error) < _FITS)
    return tried > 2 and good > _MOSTLY * tried


def _changed_delay(observations: LiftedObservations, view: int) -> tuple[float, float] | None:
    """The delays (s) of the first and the last third against the other views, if both are clear and
    differ.
    """
    thirds = np.array_split(np.arange(len(observations)), 3)
    found = [canonical_delays(observations.take(rows)) for rows in (thirds[0], thirds[2])]
    delays = []
    for part in found:
        others = np.delete(part.delay_s, view)
        if not part.is_clear[view]:
            return None
        delays.append(float(part.delay_s[view] - np.median(others)))
    return (delays[0], delays[1]) if abs(delays[1] - delays[0]) > _CHANGE_S else None
