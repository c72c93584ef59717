"""What is wrong with a view that does not fit the others, from the joints that they give.

A camera is fitted to joints and keypoints by the direct linear transform (Hartley and Zisserman,
Multiple View Geometry, 2004, section 7.1), which needs no first guess.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.diagnosis.attempt import Attempt
from cvsf.diagnosis.delay_drift import changed_delay
from cvsf.multiview.observations import LiftedObservations, time_aligned
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.shapes import Bool, Float

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MIRRORED = "its picture is mirrored, left and right are exchanged; switch mirroring off"
MIRRORED_BACK = "its picture is mirrored, left and right are exchanged; mirrored back"
SIDES = (
    "its left and right joints are exchanged, but its picture is not mirrored; is the joint order "
    "of its 2D network right?"
)
DELAY_CHANGES = (
    "its delay changes from {:+.1f} to {:+.1f} s during the take; frames are missing, or its frame "
    "rate is not the one of the stamps"
)
PANS = "it pans or zooms while the others stand still; lock its tripod and its zoom"
ELSEWHERE = "it shows another person or another place, or its delay changes"
PARTLY = "it fits the others only from {}; at other times it may show another person"

# guesses, not measured
_LEAST_CONFIDENCE = 0.3
_FITS = 0.03  # median error of an instant, over the person's extent
_PARTLY, _MORE = 0.3, 0.15  # shares of the instants
_LEAST_JOINTS = 8  # of an instant
_NEARLY, _POSE_NOISE, _LEAST_POSE_NOISE = 0.85, 2.3, 0.02
"""Share of the instants, and their largest error over the noise of the others: 1.4 to 1.6 % for
generated panning views, 2.5 % and more for late ones, at a noise of 0.8 %."""
_TRIES, _SAMPLE, _ROUNDS = 40, 4, 8  # of RANSAC: instants of a sample; rounds of IRLS


def fault_of(observations: LiftedObservations, view: int, others: Attempt) -> str:
    """One clause that says what is wrong with a view: mirrored, sides exchanged, a delay that
    changes, panning, or elsewhere; `PARTLY`, to be formatted with spans, if it fits for some
    time. `others` is a sound attempt without it, of the same instants.
    """
    joints, keypoints, usable, extent = _evidence(observations, view, others)
    other = list(observations.joint_set.mirrored)
    as_is = fit_camera(joints, keypoints, usable, extent)
    exchanged = fit_camera(joints, keypoints[:, other], usable[:, other], extent)
    if exchanged.mean() > max(_PARTLY, as_is.mean() + _MORE):
        is_mirrored = _reflects(joints, keypoints[:, other], usable[:, other], exchanged)
        return MIRRORED if is_mirrored else SIDES
    known_s = np.insert(others.delay_s, view, 0.0)
    changed = changed_delay(time_aligned(observations, known_s), view)
    if changed is not None:
        return DELAY_CHANGES.format(*changed)
    if as_is.mean() > _PARTLY:
        return PARTLY
    assert others.calibration is not None
    if _poses_fit(joints, keypoints, usable, extent, others.calibration.noise_share):
        return PANS
    return ELSEWHERE


def mirrored_back(observations: LiftedObservations, view: int) -> LiftedObservations:
    """The observations with one view's picture mirrored left to right, and its left and right
    joints exchanged. The lifter gives a mirrored view the mirrored pose, so that its outputs (y of
    the canonical pose is left and right) need not be computed again; the rotation stays as the
    other views have changed it, a first guess.
    """
    other = list(observations.joint_set.mirrored)
    keypoints = observations.keypoints_px[:, view, other]
    keypoints[..., 0] = observations.image_px[:, view, None, 0] - keypoints[..., 0]
    pose = observations.canonical[:, view, other] * np.array([1, -1, 1], np.float32)
    flip = np.array([-1, 1, 1], np.float32)[:, None] * np.array([1, -1, 1], np.float32)
    back = {
        "keypoints_px": keypoints,
        "confidence": observations.confidence[:, view, other],
        "canonical": pose,
        "view_from_canonical": observations.view_from_canonical[:, view] * flip,
    }
    arrays = {name: getattr(observations, name).copy() for name in back}
    for name, array in arrays.items():
        array[:, view] = back[name]
    return replace(observations, **arrays)


def instants_that_fit(
    observations: LiftedObservations, view: int, others: Attempt
) -> Bool[Mask, "N"]:
    """At which instants a still camera projects the joints of the others to a view's keypoints."""
    return fit_camera(*_evidence(observations, view, others))


def _evidence(
    observations: LiftedObservations, view: int, others: Attempt
) -> tuple[Float[Real, "N J 3"], Float[Real, "N J 2"], Bool[Mask, "N J"], Float[Real, "N"]]:
    """Joints of the others, keypoints of the view, where both are known, and the extent in px."""
    assert others.reconstruction is not None
    joints = others.reconstruction.joints
    keypoints = weighted_keypoints(observations.of_views([view]), 1.0)
    usable = (observations.confidence[:, view] > _LEAST_CONFIDENCE) & np.isfinite(joints).all(-1)
    return joints, keypoints.keypoints_px[:, 0], np.asarray(usable), keypoints.extent_px[:, 0]


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


def _reflects(
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    usable: Bool[Mask, "N J"],
    fits: Bool[Mask, "N"],
) -> bool:
    """Whether only a camera that reflects projects the joints to the keypoints at these instants:
    the determinant of P's left block and the depths have different signs.
    """
    P = _direct_linear(joints[fits], keypoints_px[fits], usable[fits].astype(float))
    depth = joints[fits][usable[fits]] @ P[2, :3] + P[2, 3]
    return bool(np.linalg.det(P[:, :3]) * np.median(depth) < 0)


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


def _poses_fit(
    joints: Float[Real, "N J 3"],
    keypoints_px: Float[Real, "N J 2"],
    usable: Bool[Mask, "N J"],
    extent_px: Float[Real, "N"],
    noise_share: float,
) -> bool:
    """Whether at nearly every instant some affine camera of its own projects the joints to the
    keypoints: the view shows the same poses at the same times, so its camera moves.
    """
    rows = np.flatnonzero(usable.sum(1) >= _LEAST_JOINTS)
    if len(rows) < _SAMPLE:
        return False
    points = np.concatenate([np.nan_to_num(joints[rows]), np.ones((*usable[rows].shape, 1))], -1)
    weight = usable[rows].astype(float)
    for _ in range(_ROUNDS):
        by = np.swapaxes(points * weight[..., None], 1, 2)
        affine = np.linalg.solve(by @ points + 1e-9 * np.eye(4), by @ keypoints_px[rows])
        error = np.linalg.norm(points @ affine - keypoints_px[rows], axis=-1)
        error = error / extent_px[rows, None]
        weight = usable[rows] / (1 + np.square(error / _FITS))
    median = np.nanmedian(np.where(usable[rows], error, np.nan), 1)
    return bool(np.quantile(median, _NEARLY) < max(_POSE_NOISE * noise_share, _LEAST_POSE_NOISE))
