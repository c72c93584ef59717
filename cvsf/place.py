"""Where every joint is in the world of known cameras, by all pixels, bones and the lifter's pose.

A joint that no view saw is where bones and the lifter's pose put it, so one view still gives a
whole skeleton; how sure a joint is says its deviation.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cvsf.doubt import relabelled, rows_of_cameras, without_strangers
from cvsf.evidence import (
    Bones,
    Cameras,
    Pixels,
    add_bones,
    add_lifted,
    add_pixels,
    bones_of,
    compare,
    empty_normal,
    lifted_target,
    pixels_of,
    rows_of,
)
from cvsf.rig import Calibration, Rig
from cvsf.rotation import nearest_rotation
from cvsf.sightings import Sightings
from cvsf.skeleton import JointSet
from cvsf.start import mean_body

Real = npt.NDArray[np.float64]

_ROUNDS = 9
_TRUSTING, _TRUSTING_NOISE = 2, 0.02
"""Rounds at first that doubt no pixel: the lifter's pose may be far off where all views agree."""
_FIRST_NOISE = 0.05  # of the person's extent, falling to the calibration's own
_DAMPING = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Skeletons in the calibration's world and unit."""

    joints: Real  # (N, J, 3) NaN where no view saw anybody
    deviation: Real  # (N, J) one standard deviation
    views_seen: npt.NDArray[np.intp]  # (N, J) how many views saw the joint in that very instant
    residual_share: Real  # (N, V) median reprojection over the person's extent; NaN where not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """What is known of a body before its pixels are looked at; lengths in the world's unit."""

    joint_set: JointSet
    bones: Bones
    lengths: Real  # (M,)
    body: Real  # (N, J, 3) the lifter's pose, turned as it stands in the world
    bone_sigma: float
    lifter_sigma: float


def place(sightings: Sightings, calibration: Calibration, *, rounds: int = _ROUNDS) -> Placed:
    """Every instant's skeleton, from however many views saw it; 5 rounds come within 1 mm."""
    rig = calibration.rig
    sightings = sightings.mirrored() if calibration.mirrored else sightings
    cameras = cameras_of(rig)
    pixels = pixels_of(in_step(sightings, rig.delay_s), calibration.noise_share)
    stance = stance_of(sightings, calibration)
    pixels, joints, deviation = settle_doubting(pixels, cameras, stance, rounds)
    seen = pixels.trust > 0
    apart = np.linalg.norm(cameras.project(joints) - pixels.keypoints_px, axis=-1)
    share = np.where(seen, apart / pixels.extent_px[..., None], np.nan)
    share[~seen.any(-1)] = -1.0
    nobody = ~seen.any((1, 2))
    joints[nobody], deviation[nobody] = np.nan, np.nan
    residual = np.nanmedian(share, axis=-1)
    return Placed(
        joints=joints,
        deviation=deviation,
        views_seen=seen.sum(1),
        residual_share=np.where(residual < 0, np.nan, residual),
    )


def cameras_of(rig: Rig) -> Cameras:
    """A rig as the adjustment writes it."""
    still = rig.view_from_world.ndim == 3
    centres = rig.centres if still else np.median(rig.centres, axis=0)
    return Cameras(
        view_from_world=rig.view_from_world[None] if still else rig.view_from_world,
        centres=centres,
        log_focal=np.log(rig.focal_px[None] if still else rig.focal_px),
        centre_px=rig.centre_px,
        radial=rig.radial,
        delay_s=rig.delay_s,
    )


def in_step(sightings: Sightings, delay_s: Real) -> Sightings:
    """The same with every late camera's keypoints taken at the instants' own time."""
    if not delay_s.any() or len(sightings) < 2:
        return sightings
    keypoints = sightings.keypoints_px.copy()
    for view, delay in enumerate(delay_s):
        low, share = _between(sightings.t_s, sightings.t_s - delay)
        both = (sightings.confidence[low, view] > 0) & (sightings.confidence[low + 1, view] > 0)
        a, b = sightings.keypoints_px[low, view], sightings.keypoints_px[low + 1, view]
        moved = a + share[:, None, None] * (b - a)
        keypoints[:, view] = np.where(both[..., None], moved, keypoints[:, view])
    return replace(sightings, keypoints_px=keypoints)


def _between(t_s: Real, wanted_s: Real) -> tuple[npt.NDArray[np.intp], Real]:
    low = np.clip(np.searchsorted(t_s, wanted_s, side="right") - 1, 0, len(t_s) - 2)
    share = (wanted_s - t_s[low]) / np.maximum(t_s[low + 1] - t_s[low], 1e-9)
    return low, np.clip(share, -1.0, 2.0)


def stance_of(sightings: Sightings, calibration: Calibration) -> Stance:
    """In the unit of the calibration's world."""
    bones = bones_of(sightings.joint_set)
    lengths = np.bincount(bones.measure, calibration.body.bones) / np.bincount(bones.measure)
    return stance_in(sightings, calibration.rig.view_from_world, lengths)


def stance_in(sightings: Sightings, view_from_world: Real, lengths: Real) -> Stance:
    """The body's measures, and the lifter's pose turned by what each view's rotation says."""
    bones = bones_of(sightings.joint_set)
    unit = float(lengths[bones.measure].mean())
    return Stance(
        joint_set=sightings.joint_set,
        bones=bones,
        lengths=lengths,
        body=unit * turned_body(sightings, view_from_world),
        bone_sigma=BONE_SIGMA * unit,
        lifter_sigma=LIFTER_SIGMA * unit,
    )


def turned_body(sightings: Sightings, view_from_world: Real) -> Real:
    """The lifter's mean pose (N, J, 3), turned as the views together say; the mean bone is 1."""
    weight = sightings.confidence.mean(-1)[..., None, None]
    says = np.swapaxes(view_from_world, -1, -2) @ sightings.view_from_canonical
    stands = nearest_rotation((weight * says).sum(1) + 1e-9 * np.eye(3))
    return np.asarray(mean_body(sightings) @ np.swapaxes(stands, -1, -2))


def roots(pixels: Pixels, cameras: Cameras, body: Real) -> Real:
    """Where the body's origin is, (N, 3): by its size in every view, views by their trust."""
    local = body[:, None] @ np.swapaxes(cameras.view_from_world, -1, -2)
    weight = pixels.trust[..., None]
    total = np.maximum(weight.sum(2), 1e-9)
    middle, centre = (weight * local).sum(2) / total, (weight * pixels.keypoints_px).sum(2) / total
    flat = local[..., :2] - middle[:, :, None, :2]
    spread = pixels.keypoints_px - centre[:, :, None]
    scale = np.sqrt(
        (weight * np.square(spread)).sum((2, 3))
        / np.maximum((weight * np.square(flat)).sum((2, 3)), 1e-9)
    )
    focal = np.exp(cameras.log_focal)
    depth = focal / np.maximum(scale, 1e-6)
    aside = (centre - cameras.centre_px) / focal[..., None]
    ray = np.concatenate([aside, np.ones_like(depth)[..., None]], -1)
    in_view = ray * depth[..., None] - middle
    world = (in_view[..., None, :] @ cameras.view_from_world)[..., 0, :] + cameras.centres
    # the rays' own crossing where there are two: sight is surer than size
    trust = pixels.trust.sum(-1)
    ray = (ray[..., None, :] @ cameras.view_from_world)[..., 0, :]
    ray = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    across = np.eye(3) - ray[..., :, None] * ray[..., None, :]
    along = _DEPTH_TRUST * ray[..., :, None] * ray[..., None, :]
    information = trust[..., None, None] * (across + along)
    whole = information.sum(1) + 1e-9 * np.eye(3)
    right = np.einsum("nvij,nvj->ni", information, world)
    return np.asarray(np.linalg.solve(whole, right[..., None])[..., 0])


def settle_doubting(
    pixels: Pixels, cameras: Cameras, stance: Stance, rounds: int = _ROUNDS
) -> tuple[Pixels, Real, Real]:
    """Joints and deviations, after sides were set right and strangers left out; and what is left
    of the pixels.
    """
    start = stance.body + roots(pixels, cameras, stance.body)[:, None]
    joints, deviation = settle(pixels, cameras, stance, start, rounds)

    def again(some: Pixels, rows: npt.NDArray[np.intp], first: Real) -> Real:
        theirs = replace(stance, body=stance.body[rows])
        found, deviation[rows] = settle(some, rows_of_cameras(cameras, rows), theirs, first, rounds)
        return found

    pixels, joints = without_strangers(pixels, cameras, joints, again)
    pixels, changed = relabelled(pixels, cameras, joints, stance.joint_set)
    rows = np.flatnonzero(changed)
    if len(rows):
        joints[rows] = again(rows_of(pixels, rows), rows, joints[rows])
    return pixels, joints, deviation


def settle(
    pixels: Pixels, cameras: Cameras, stance: Stance, joints: Real, rounds: int = _ROUNDS
) -> tuple[Real, Real]:
    """Gauss-Newton from a first guess (N, J, 3), doubting more and more; joints and deviations."""
    instants, count = joints.shape[:2]
    each = np.arange(3 * count)
    noises = np.geomspace(max(_FIRST_NOISE, pixels.noise), pixels.noise, rounds - _TRUSTING - 1)
    for turn, noise in enumerate((*[_TRUSTING_NOISE] * _TRUSTING, *noises, pixels.noise)):
        now = replace(pixels, noise=float(noise))
        normal = empty_normal(instants, count)
        add_pixels(normal, compare(now, cameras, joints, with_doubt=turn >= _TRUSTING))
        add_bones(normal, stance.bones, stance.lengths, joints, stance.bone_sigma)
        target = lifted_target(stance.body, joints)
        add_lifted(normal, target, joints, stance.lifter_sigma)
        normal.matrix[:, each, each] += _DAMPING * stance.bone_sigma**-2
        step = np.linalg.solve(normal.matrix, normal.right[..., None])
        joints = joints + step.reshape(instants, count, 3)
    spread = np.linalg.inv(normal.matrix)[:, each, each].reshape(instants, count, 3)
    return joints, np.sqrt(np.maximum(spread.mean(-1), 0.0))


BONE_SIGMA, LIFTER_SIGMA = 0.06, 0.25
"""In mean bones, some 0.3 m: how much a bone seems to change, how far the lifter's pose is off."""
_DEPTH_TRUST = 0.01
"""A distance told from the person's size against a direction."""
