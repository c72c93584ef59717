"""What speaks for where the joints are: pixels, bones that keep their length, the lifter's pose.

Each kind of evidence adds to the normal equations of the joints and, where they are sought, of the
cameras; residuals are in standard deviations of their kind.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from cvsf.rotation import align, skew
from cvsf.sightings import Sightings
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]

ROTATION, CENTRE, FOCAL, RADIAL, DELAY = slice(0, 3), slice(3, 6), 6, 7, 8
"""Columns of a camera: a turn in its own axes, its centre, log focal length, k1, delay (s)."""
COLUMNS = 9

CAUCHY = 6.0
"""Square of the residual, in standard deviations, at which a pixel counts half."""
POSE_CAUCHY = 8.0
"""The same of all joints of a lifted pose together: upside down, a lifter is wrong as a whole."""
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
class Bones:
    """Which bones a body has, and which of them are the two sides of one measure."""

    incidence: Real  # (B, J): +1 at the child, -1 at the parent
    measure: npt.NDArray[np.intp]  # (B,) which of the M measures a bone is
    pairs: Real = field(repr=False)  # (B, J * J) outer products of incidence

    @property
    def measures(self) -> int:
        """How many different lengths there are."""
        return int(self.measure.max()) + 1


def bones_of(joint_set: JointSet) -> Bones:
    """Left and right are of one length."""
    incidence = np.zeros((len(joint_set.bones), len(joint_set)))
    names: list[frozenset[int]] = []
    measure = []
    mirrored = joint_set.mirrored
    for b, (parent, child) in enumerate(joint_set.bones):
        incidence[b, child], incidence[b, parent] = 1, -1
        name = frozenset({child, mirrored[child]})
        if name not in names:
            names.append(name)
        measure.append(names.index(name))
    pairs = incidence[:, :, None] * incidence[:, None, :]
    return Bones(
        incidence=incidence, measure=np.array(measure), pairs=pairs.reshape(len(measure), -1)
    )


def measures_of(joints: Real, bones: Bones) -> Real:
    """Lengths (M,) of the bodies (N, J, 3), as the median has them; the mean bone is made 1."""
    length = np.median(np.linalg.norm(bones.incidence @ joints, axis=-1), axis=0)
    measures = np.bincount(bones.measure, length) / np.bincount(bones.measure)
    return np.asarray(measures / measures[bones.measure].mean())


@dataclass(slots=True)
class Normal:
    """Normal equations of the joints of N instants: `matrix` (N, 3J, 3J), `right` (N, 3J)."""

    matrix: Real
    right: Real
    cost: float = 0.0


def empty_normal(instants: int, joints: int) -> Normal:
    """Nothing known yet."""
    return Normal(np.zeros((instants, 3 * joints, 3 * joints)), np.zeros((instants, 3 * joints)))


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
    """Residual and derivatives of the projection (module cvsf.rig has the model)."""
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


def add_pixels(normal: Normal, seen: Seen) -> None:
    """The pixels' part, a 3 x 3 block for each joint."""
    instants, _, joints = seen.weight.shape
    weighted = seen.weight[..., None, None] * seen.by_joint
    blocks = np.einsum("nvjra,nvjrb->njab", weighted, seen.by_joint, optimize=True)
    each = np.arange(joints)
    matrix = normal.matrix.reshape(instants, joints, 3, joints, 3)
    matrix[:, each, :, each, :] += np.swapaxes(blocks, 0, 1)
    normal.right -= np.einsum("nvjra,nvjr->nja", weighted, seen.residual).reshape(instants, -1)


def stretched(bones: Bones, lengths: Real, joints: Real) -> tuple[Real, Real]:
    """How much longer than `lengths` (M,) each bone is, (N, B), and its direction (N, B, 3)."""
    along = bones.incidence @ joints
    length = np.maximum(np.linalg.norm(along, axis=-1), 1e-6)
    return length - lengths[bones.measure], along / length[..., None]


def add_bones(
    normal: Normal, bones: Bones, lengths: Real, joints: Real, sigma: float
) -> tuple[Real, Real]:
    """Bones that keep their length (first-order); residual (N, B) and directions, in sigmas."""
    instants, count = len(joints), joints.shape[1]
    extra, direction = stretched(bones, lengths, joints)
    extra, direction = extra / sigma, direction / sigma
    outer = (direction[..., :, None] * direction[..., None, :]).reshape(instants, -1, 9)
    blocks = np.swapaxes(outer, 1, 2) @ bones.pairs  # (N, 9, J * J)
    blocks = blocks.reshape(instants, 3, 3, count, count).transpose(0, 3, 1, 4, 2)
    normal.matrix += blocks.reshape(instants, 3 * count, 3 * count)
    pull = bones.incidence.T @ (extra[..., None] * direction)
    normal.right -= pull.reshape(instants, -1)
    return extra, direction


def lifted_target(body: Real, joints: Real) -> Real:
    """The lifter's pose (N, J, 3) laid over the joints found so far, rotation and shift only."""
    rotation, shift = align(body, joints, np.ones(joints.shape[:2]))
    return np.asarray(body @ np.swapaxes(rotation, -1, -2) + shift[:, None])


def add_lifted(normal: Normal, target: Real, joints: Real, sigma: float) -> None:
    """A pull toward the lifter's pose, blind to where the body stands, doubted as a whole.

    The pose was laid over these very joints, so moving or turning all of them together costs
    nothing to first order: those six directions are projected out (variable projection).
    """
    instants, count = joints.shape[:2]
    away = joints - joints.mean(1, keepdims=True)
    shifts = np.broadcast_to(np.eye(3), (instants, count, 3, 3))
    rigid = np.concatenate([shifts, -skew(away)], -1).reshape(instants, 3 * count, 6)
    rigid, _ = np.linalg.qr(rigid)
    free = np.eye(3 * count) - rigid @ np.swapaxes(rigid, 1, 2)
    square = np.square((joints - target) / sigma).sum((1, 2))
    information = sigma**-2 / (1 + square / POSE_CAUCHY)
    normal.matrix += information[:, None, None] * free
    pull = free @ (target - joints).reshape(instants, -1, 1)
    normal.right += information[:, None] * pull[..., 0]


def lifted_cost(target: Real, joints: Real, sigma: float) -> Real:
    """Cauchy's cost of every instant's whole pose, (N,)."""
    square = np.square((joints - target) / sigma).sum((1, 2))
    return np.asarray(POSE_CAUCHY * np.log1p(square / POSE_CAUCHY))


def add_target(normal: Normal, target: Real, joints: Real, information: Real) -> None:
    """A pull of every joint toward a place; information (N, J), 1 / sigma^2."""
    instants, count = joints.shape[:2]
    diagonal = np.repeat(information, 3, axis=1)
    each = np.arange(3 * count)
    normal.matrix[:, each, each] += diagonal
    normal.right += diagonal * (target - joints).reshape(instants, -1)


def pixels_of(sightings: Sightings, noise: float) -> Pixels:
    """What was seen, trusted by the square of its confidence."""
    trust = np.square(sightings.confidence).astype(float)
    seen: npt.NDArray[np.bool_] = trust > 0
    keypoints = np.where(seen[..., None], sightings.keypoints_px, 0.0)
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
