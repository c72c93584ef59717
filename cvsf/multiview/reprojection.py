"""What cameras see of joints: their projection, how far pixels are from it, and its derivatives.

Residuals are in standard deviations of a pixel, which is a share of the person's extent in a view.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rotation import skew

Real = npt.NDArray[np.float64]

ROTATION, CENTRE, FOCAL, RADIAL, DELAY = slice(0, 3), slice(3, 6), 6, 7, 8
"""Columns of a camera: a turn in its own axes, its centre, log focal length, k1, delay (s)."""
COLUMNS = 9

CAUCHY = 6.0
"""Square of the residual, in standard deviations, at which a pixel counts half."""
_NEAR = 0.3  # bones: nothing is seen closer than this
_EXTENT = 3.0  # a person is this many times the spread of their joints


@dataclass(frozen=True, slots=True, kw_only=True)
class Cameras:
    """V cameras while they are being sought; one leading row if they stand still, else N."""

    view_from_world: Real  # (M, V, 3, 3)
    centres: Real  # (V, 3), or (N, V, 3) where instants are taken alone
    log_focal: Real  # (M, V)
    centre_px: Real  # (V, 2)
    radial: Real  # (V,)
    delay_s: Real  # (V,)

    @property
    def pan(self) -> bool:
        """Whether every instant has rotations and focal lengths of its own."""
        return len(self.log_focal) > 1

    def project(self, joints: Real) -> Real:
        """Pixels (N, V, J, 2)."""
        local = self.in_views(joints)
        flat = local[..., :2] / np.maximum(local[..., 2:], _NEAR)
        bent = 1 + self.radial[:, None] * np.square(flat).sum(-1)
        focal = np.exp(self.log_focal)[..., None, None]
        return np.asarray(focal * bent[..., None] * flat + self.centre_px[:, None])

    def in_views(self, joints: Real) -> Real:
        """Joints in view axes, (N, V, J, 3)."""
        away = joints[:, None] - self.centres[..., None, :]
        return np.asarray(away @ np.swapaxes(self.view_from_world, -1, -2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """What was seen, how far each is to be trusted, and what a standard deviation is."""

    keypoints_px: Real  # (N, V, J, 2)
    trust: Real  # (N, V, J) 0 is not seen
    extent_px: Real  # (N, V) how large the person is there
    noise: float  # a standard deviation over that extent
    velocity_px_s: Real | None = None  # (N, V, J, 2), where delays are sought

    @property
    def sigma_px(self) -> Real:
        """(N, V)."""
        return np.asarray(self.noise * self.extent_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Pixels compared with a projection: residuals and their derivatives, all in sigmas."""

    residual: Real  # (N, V, J, 2)
    weight: Real  # (N, V, J) trust, and doubt by Cauchy's kernel
    by_joint: Real  # (N, V, J, 2, 3)
    by_camera: Real | None  # (N, V, J, 2, COLUMNS)


def compare(
    pixels: Pixels,
    cameras: Cameras,
    joints: Real,
    *,
    with_cameras: bool = False,
    with_doubt: bool = True,
) -> Seen:
    """Residual and derivatives of the projection (module cvsf.multiview.rig has the model)."""
    local = cameras.in_views(joints)
    depth = np.maximum(local[..., 2], _NEAR)
    flat = local[..., :2] / depth[..., None]
    square = np.square(flat).sum(-1)
    bent = 1 + cameras.radial[:, None] * square
    per_sigma = (np.exp(cameras.log_focal) / pixels.sigma_px)[..., None]
    residual = (
        per_sigma[..., None] * bent[..., None] * flat
        + (cameras.centre_px[:, None] - seen_at(pixels, cameras)) / pixels.sigma_px[..., None, None]
    )
    by_flat = bent[..., None, None] * np.eye(2)
    if cameras.radial.any():
        outer = flat[..., :, None] * flat[..., None, :]
        by_flat = by_flat + 2 * cameras.radial[:, None, None, None] * outer
    flat_by_local = np.concatenate(
        [np.broadcast_to(np.eye(2), (*flat.shape, 2)), -flat[..., None]], -1
    )
    by_local = (per_sigma / depth)[..., None, None] * (by_flat @ flat_by_local)
    by_joint = by_local @ cameras.view_from_world[:, :, None]
    apart = np.square(residual).sum(-1)
    columns = None
    if with_cameras:
        seen = per_sigma[..., None] * bent[..., None] * flat
        columns = np.concatenate(
            [
                -by_local @ skew(local),
                -by_joint,
                seen[..., None],
                (per_sigma * square)[..., None, None] * flat[..., None],
                _by_delay(pixels, flat),
            ],
            -1,
        )
    return Seen(
        residual=residual,
        weight=pixels.trust / (1 + apart / CAUCHY) if with_doubt else pixels.trust,
        by_joint=by_joint,
        by_camera=columns,
    )


def seen_at(pixels: Pixels, cameras: Cameras) -> Real:
    """The keypoints at the instants' own time, to first order in the cameras' delays."""
    if pixels.velocity_px_s is None:
        return pixels.keypoints_px
    return pixels.keypoints_px - cameras.delay_s[:, None, None] * pixels.velocity_px_s


def _by_delay(pixels: Pixels, flat: Real) -> Real:
    """A camera that is late by d shows at t what happened at t + d."""
    if pixels.velocity_px_s is None:
        return np.zeros((*flat.shape, 1))
    return np.asarray((pixels.velocity_px_s / pixels.sigma_px[..., None, None])[..., None])


def pixel_cost(pixels: Pixels, cameras: Cameras, joints: Real) -> Real:
    """Cauchy's cost of every instant, (N,)."""
    apart = (cameras.project(joints) - seen_at(pixels, cameras)) / pixels.sigma_px[..., None, None]
    square = np.square(apart).sum(-1)
    return np.asarray((pixels.trust * CAUCHY * np.log1p(square / CAUCHY)).sum((1, 2)))


def pixels_of(observations: LiftedObservations, noise: float) -> Pixels:
    """What was seen, trusted by the square of its confidence."""
    trust = np.square(observations.confidence).astype(float)
    seen: npt.NDArray[np.bool_] = trust > 0
    keypoints = np.where(seen[..., None], observations.keypoints_px, 0.0)
    weight = trust[..., None]
    total = np.maximum(weight.sum(2), 1e-9)
    middle = (weight * keypoints).sum(2) / total
    spread = (weight * np.square(keypoints - middle[:, :, None])).sum((2, 3)) / total[..., 0]
    return Pixels(
        keypoints_px=np.where(seen[..., None], keypoints, middle[:, :, None]),
        trust=trust,
        extent_px=np.maximum(_EXTENT * np.sqrt(spread), 1.0),
        noise=noise,
    )


def median_off(pixels: Pixels, cameras: Cameras, joints: Real) -> Real:
    """Median distance in px (N, V) of what a view saw from the joints; NaN where nobody is."""
    apart = np.linalg.norm(cameras.project(joints) - pixels.keypoints_px, axis=-1)
    known: npt.NDArray[np.bool_] = pixels.trust > 0
    count = known.sum(-1)[..., None]
    # numpy's nanmedian takes ten times as long for a single instant
    ordered = np.sort(np.where(known, apart, np.inf), axis=-1)
    middle = [np.take_along_axis(ordered, at, -1)[..., 0] for at in ((count - 1) // 2, count // 2)]
    return np.where(count[..., 0] > 0, (middle[0] + middle[1]) / 2, np.nan)


def rows_of(pixels: Pixels, rows: npt.NDArray[np.intp]) -> Pixels:
    """Some of the instants."""
    velocity = pixels.velocity_px_s
    return replace(
        pixels,
        keypoints_px=pixels.keypoints_px[rows],
        trust=pixels.trust[rows],
        extent_px=pixels.extent_px[rows],
        velocity_px_s=None if velocity is None else velocity[rows],
    )


def noise_of(pixels: Pixels, cameras: Cameras, joints: Real) -> float:
    """What a standard deviation over the extent really is, from the median residual.

    A joint takes three of the 2 V numbers that V views say of it.
    """
    apart = np.linalg.norm(cameras.project(joints) - seen_at(pixels, cameras), axis=-1)
    known: npt.NDArray[np.bool_] = pixels.trust > 0
    views = max(float(known.any(-1).sum(1).mean()), 2.0)
    free = 2 * views / (2 * views - 3)
    share = (apart / pixels.extent_px[..., None])[known]
    return float(np.median(share) / np.sqrt(2 * np.log(2)) * np.sqrt(free))
