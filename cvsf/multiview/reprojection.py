"""Reprojection residuals of joints in V cameras, and their derivatives.

Residuals are in standard deviations of a keypoint. The standard deviation is a share of the
person's extent in the view.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.lens_distortion import distorted, distortion_jacobian
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import NEAREST, Rig, Rows
from cvsf.multiview.rotation import skew
from cvsf.shapes import Float

Real = npt.NDArray[np.float64]

CAUCHY = 6.0
"""Squared residual, in standard deviations, at which a keypoint has weight 1/2 (Cauchy kernel); a
guess, not measured."""
_EXTENT = 3.0  # of the person, over the standard deviation of the joints; a guess, not measured


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedKeypoints:
    """Keypoints with their weights and standard deviation, for a robust solver."""

    keypoints_px: Float[Real, "N V J 2"]
    weight: Float[Real, "N V J"]
    """0 is not observed."""
    extent_px: Float[Real, "N V"]
    """Size of the person in the view."""
    noise_share: float
    """Standard deviation of a keypoint over that extent."""
    velocity_px_s: Float[Real, "N V J 2"] | None = None
    """None unless delays are estimated."""

    @property
    def sigma_px(self) -> Float[Real, "N V"]:
        """One standard deviation (px) of a keypoint in each view, along one axis: `noise_share`
        times the person's extent in the view.
        """
        return np.asarray(self.noise_share * self.extent_px)

    def take(self, rows: Rows) -> Self:
        """The instants of a mask, an index array or a slice, not of one index. With a slice the
        arrays share memory with these.
        """
        velocity = self.velocity_px_s
        return replace(
            self,
            keypoints_px=self.keypoints_px[rows],
            weight=self.weight[rows],
            extent_px=self.extent_px[rows],
            velocity_px_s=None if velocity is None else velocity[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReprojectionResiduals:
    """Reprojection residuals and their derivatives, all in standard deviations."""

    residual: Float[Real, "N V J 2"]
    weight: Float[Real, "N V J"]
    """Weight of the keypoint times its robust weight."""
    by_joint: Float[Real, "N V J 2 3"]
    by_camera: Float[Real, "N V J 2 11"] | None
    """By the columns of `cvsf.multiview.rig`."""


def reprojection_residuals(
    keypoints: WeightedKeypoints,
    rig: Rig,
    joints: Float[Real, "N J 3"],
    *,
    with_cameras: bool = False,
    robust: bool = True,
) -> ReprojectionResiduals:
    """Projected minus observed keypoints, in standard deviations, and derivatives by the joints
    (world frame, the rig's unit) and, if asked for, by the cameras (columns of `rig`). Time offsets
    are corrected; a depth below `NEAREST` counts as `NEAREST`. With `robust` the weights are
    multiplied by those of the Cauchy kernel (Holland and Welsch 1977).
    """
    local = rig.in_views(joints)
    depth = np.maximum(local[..., 2], NEAREST)
    flat = local[..., :2] / depth[..., None]
    square = np.square(flat).sum(-1)
    per_sigma = (rig.focal_px / keypoints.sigma_px)[..., None]
    projected = per_sigma[..., None] * distorted(flat, rig.distortion)
    observed = delay_corrected(keypoints, rig) - rig.centre_px[:, None]
    residual = projected - observed / keypoints.sigma_px[..., None, None]
    by_local = np.concatenate([np.broadcast_to(np.eye(2), (*flat.shape, 2)), -flat[..., None]], -1)
    if rig.distortion.any():
        by_local = distortion_jacobian(flat, rig.distortion) @ by_local
    by_local = (per_sigma / depth)[..., None, None] * by_local
    rows = by_local.reshape(*depth.shape[:2], -1, 3)  # one product of many rows is faster
    by_joint = (rows @ rig.view_from_world).reshape(by_local.shape)
    columns = None
    if with_cameras:
        longer = rig.image_px.max(1) / keypoints.sigma_px
        by_centre = longer[..., None, None] * np.eye(2)
        columns = np.concatenate(
            [
                -by_local @ skew(local),
                -by_joint,
                projected[..., None],
                (per_sigma * square)[..., None, None] * flat[..., None],
                _by_delay(keypoints, flat),
                np.broadcast_to(by_centre[..., None, :, :], (*flat.shape, 2)),
            ],
            -1,
        )
    weight = keypoints.weight
    if robust:
        weight = weight / (1 + np.square(residual).sum(-1) / CAUCHY)
    return ReprojectionResiduals(
        residual=residual, weight=weight, by_joint=by_joint, by_camera=columns
    )


def delay_corrected(keypoints: WeightedKeypoints, rig: Rig) -> Float[Real, "N V J 2"]:
    """The keypoints (px) minus the rig's time offsets (s) times the keypoints' velocities (px/s),
    so that they show what happened at the time of the instants. An offset is positive if a picture
    is taken later than its stamp. If no velocities are known, the same array, not a copy.
    """
    if keypoints.velocity_px_s is None:
        return keypoints.keypoints_px
    return keypoints.keypoints_px - rig.delay_s[:, None, None] * keypoints.velocity_px_s


def _by_delay(
    keypoints: WeightedKeypoints, flat: Float[Real, "N V J 2"]
) -> Float[Real, "N V J 2 1"]:
    """Derivatives by the delay: a camera of delay d shows at stamp t what happened at t + d."""
    if keypoints.velocity_px_s is None:
        return np.zeros((*flat.shape, 1))
    return np.asarray((keypoints.velocity_px_s / keypoints.sigma_px[..., None, None])[..., None])


def reprojection_cost(
    keypoints: WeightedKeypoints, rig: Rig, joints: Float[Real, "N J 3"]
) -> Float[Real, "N"]:
    """Cauchy cost of each instant, without unit: the weighted sum over views and joints, of errors
    in standard deviations. Joints are in the rig's world and unit. 0 where nothing was observed.
    """
    error = rig.project(joints) - delay_corrected(keypoints, rig)
    square = np.square(error / keypoints.sigma_px[..., None, None]).sum(-1)
    return np.asarray((keypoints.weight * CAUCHY * np.log1p(square / CAUCHY)).sum((1, 2)))


def weighted_keypoints(observations: LiftedObservations, noise_share: float) -> WeightedKeypoints:
    """The keypoints (px) with their squared confidences as weights, and the person's extent: 3
    times the RMS distance from their mean, at least 1 px. Unobserved keypoints, also NaN, become
    that mean, of weight 0. `noise_share` is sigma over the extent.
    """
    weight = np.square(observations.confidence).astype(float)
    seen: npt.NDArray[np.bool_] = weight > 0
    keypoints = np.where(seen[..., None], observations.keypoints_px, 0.0)
    each = weight[..., None]
    total = np.maximum(each.sum(2), 1e-9)
    middle = (each * keypoints).sum(2) / total
    spread = (each * np.square(keypoints - middle[:, :, None])).sum((2, 3)) / total[..., 0]
    return WeightedKeypoints(
        keypoints_px=np.where(seen[..., None], keypoints, middle[:, :, None]),
        weight=weight,
        extent_px=np.maximum(_EXTENT * np.sqrt(spread), 1.0),
        noise_share=noise_share,
    )


def median_reprojection_px(
    keypoints: WeightedKeypoints, rig: Rig, joints: Float[Real, "N J 3"]
) -> Float[Real, "N V"]:
    """Median reprojection error (px) of each view's observed joints at each instant; NaN where none
    was. Joints are in the rig's world and unit; time offsets are not corrected.
    """
    error = np.linalg.norm(rig.project(joints) - keypoints.keypoints_px, axis=-1)
    known: npt.NDArray[np.bool_] = keypoints.weight > 0
    count = known.sum(-1)[..., None]
    # numpy's nanmedian takes ten times as long for a single instant
    ordered = np.sort(np.where(known, error, np.inf), axis=-1)
    middle = [np.take_along_axis(ordered, at, -1)[..., 0] for at in ((count - 1) // 2, count // 2)]
    return np.where(count[..., 0] > 0, (middle[0] + middle[1]) / 2, np.nan)


def estimate_noise(keypoints: WeightedKeypoints, rig: Rig, joints: Float[Real, "N J 3"]) -> float:
    """Standard deviation of a keypoint along one axis, over the person's extent in the view (no
    unit), from the median reprojection residual of the observed keypoints (weight above 0). Joints
    are in the rig's world frame and unit. NaN if no keypoint is observed, or an observed joint is
    NaN.

    The median of a 2D Gaussian's length is sigma sqrt(2 ln 2). Of the 2 V coordinates that V views
    observe of a joint, three are fitted; V is the mean number of views that see the person, at
    least 2.
    """
    error = np.linalg.norm(rig.project(joints) - delay_corrected(keypoints, rig), axis=-1)
    known: npt.NDArray[np.bool_] = keypoints.weight > 0
    views = max(float(known.any(-1).sum(1).mean()), 2.0)
    observed_over_free = 2 * views / (2 * views - 3)
    share = (error / keypoints.extent_px[..., None])[known]
    return float(np.median(share) / np.sqrt(2 * np.log(2)) * np.sqrt(observed_over_free))
