"""Cameras that pan and zoom on tripods: every instant alone, then one rig all instants agree on.

An instant by itself nearly tells where its cameras stand. What the instants share are the centres:
the rigs are laid over each other and the median is taken; then everything is adjusted together.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from cvsf.adjust import Beliefs, Problem, State, adjust
from cvsf.alone import FREE, PANS, Alone, Wish, adjust_alone, chosen
from cvsf.consensus import agreed_centres, lay_over
from cvsf.evidence import Cameras, Pixels, bones_of, measures_of, noise_of, pixels_of
from cvsf.place import BONE_SIGMA, LIFTER_SIGMA, Stance, roots, settle, turned_body
from cvsf.rotation import nearest_rotation, turned_by
from cvsf.sightings import Sightings
from cvsf.start import mean_body, roots_in_views

Real = npt.NDArray[np.float64]


_INSTANTS = 64
_LEAST_NOISE = 0.004
_REACH = 15  # instants a good solution is handed on
_BAD = 2.0  # times the usual cost
_SMOOTHINGS = 4
_SMOOTH_S = 0.06
_STIFF = 0.5
_GUESSES = (0.75, 1.5)  # focal length over the picture's longer side
_NOISE = 0.012  # of the person's extent
_FREE_SIGMA = 0.5  # rad, and of the log focal length
_WHOLE = 3  # views an instant needs to say where its cameras stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Panned:
    """What bundle adjustment found of cameras that pan, at every instant."""

    cameras: Cameras
    joints: Real  # (N, J, 3)
    lengths: Real  # (M,)
    noise: float


def follow_panning(sightings: Sightings) -> Panned:
    """Cameras and joints of all instants in one world, the mean bone 1."""
    seen = np.any(sightings.confidence > 0, axis=-1)
    rows = _best_rows(sightings, seen)
    some = sightings.take(rows)
    alone = _each_alone(some)
    centres, agreed = agreed_centres(alone.cameras.centres, seen[rows], alone.cost)
    problem, state = _together(some, alone, centres, agreed & (seen[rows].sum(1) >= _WHOLE))
    return _everywhere(sightings, rows[agreed], problem, state)


def _best_rows(sightings: Sightings, seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Instants that many views saw well, spread over the take."""
    usable = np.flatnonzero(seen.sum(1) >= _WHOLE)
    worth = sightings.confidence[usable].mean((1, 2))
    bins = np.array_split(np.arange(len(usable)), min(_INSTANTS, len(usable)))
    return np.asarray(usable[[part[worth[part].argmax()] for part in bins]])


def _each_alone(some: Sightings) -> Alone:
    """From either guess of the focal lengths, the better at each instant."""
    longer = some.image_px.max(1).astype(float)
    first, second = (alone_from(some, guess * longer, _NOISE, 8) for guess in _GUESSES)
    return chosen(first.cost < second.cost, first, second)


def _together(
    some: Sightings, alone: Alone, centres: Real, agreed: npt.NDArray[np.bool_]
) -> tuple[Problem, State]:
    """The instants that agree, moved into one world and adjusted together."""
    seen = np.any(some.confidence > 0, axis=-1)
    rotation, shift, scale = lay_over(alone.cameras.centres, centres, seen)
    back = np.swapaxes(rotation, -1, -2)
    joints = scale[:, None, None] * alone.joints @ back + shift[:, None]
    cameras = replace(
        alone.cameras,
        view_from_world=(alone.cameras.view_from_world @ back[:, None])[agreed],
        log_focal=alone.cameras.log_focal[agreed],
        centres=centres,
    )
    kept = some.take(agreed)
    bones = bones_of(some.joint_set)
    problem = Problem(
        pixels=pixels_of(kept, 2 * _NOISE),
        bones=bones,
        body=turned_body(kept, cameras.view_from_world),
        guess_log_focal=np.log(some.image_px.max(1).astype(float)),
        reference=0,
        beliefs=Beliefs(bone_sigma=BONE_SIGMA, lifter_sigma=LIFTER_SIGMA),
    )
    state = State(cameras=cameras, joints=joints[agreed], lengths=measures_of(joints, bones))
    for _ in range(3):
        state, _ = adjust(problem, state, 8)
        noise = max(noise_of(problem.pixels, state.cameras, state.joints), _LEAST_NOISE)
        problem = replace(problem, pixels=replace(problem.pixels, noise=noise))
    return problem, state


def _everywhere(
    sightings: Sightings, rows: npt.NDArray[np.intp], problem: Problem, state: State
) -> Panned:
    """Every instant from its nearest neighbour among those adjusted, its cameras' centres kept."""
    nearest = np.abs(np.arange(len(sightings))[:, None] - rows).argmin(1)
    cameras = replace(
        state.cameras,
        view_from_world=state.cameras.view_from_world[nearest],
        log_focal=state.cameras.log_focal[nearest],
    )
    pixels = pixels_of(sightings, problem.pixels.noise)
    body = turned_body(sightings, cameras.view_from_world)
    stance = Stance(
        bones=problem.bones,
        lengths=state.lengths,
        body=body,
        bone_sigma=BONE_SIGMA,
        lifter_sigma=LIFTER_SIGMA,
    )
    begun = body + roots(pixels, cameras, body)[:, None]
    found = Alone(cameras=cameras, joints=begun, cost=np.zeros(len(begun)))
    follow = partial(adjust_alone, stance=stance, columns=PANS)
    for noise in (0.04, 0.02, pixels.noise):
        coarse = replace(pixels, noise=noise)
        found = follow(coarse, start=found, wish=_free(found.cameras), rounds=8)
    for _ in range(_REACH):
        before = found.cost
        for step in (1, -1):
            found = _offered(pixels, stance, found, step)
        if (found.cost == before).all():
            break
    for _ in range(_SMOOTHINGS):
        wish = smooth(sightings.t_s, found, pixels.trust.sum(-1))
        found = follow(pixels, start=found, wish=wish, rounds=4)
    return Panned(
        cameras=found.cameras, joints=found.joints, lengths=state.lengths, noise=pixels.noise
    )


def _offered(pixels: Pixels, stance: Stance, found: Alone, step: int) -> Alone:
    """Bad instants begun again from what a neighbour has found, kept where that is better."""
    bad = np.flatnonzero(found.cost > _BAD * np.median(found.cost))
    bad = bad[(bad - step >= 0) & (bad - step < len(found.cost))]
    if not len(bad):
        return found
    donor = bad - step
    some = replace(
        pixels,
        keypoints_px=pixels.keypoints_px[bad],
        trust=pixels.trust[bad],
        extent_px=pixels.extent_px[bad],
    )
    theirs = replace(stance, body=stance.body[bad])
    cameras = replace(
        found.cameras,
        view_from_world=found.cameras.view_from_world[donor],
        log_focal=found.cameras.log_focal[donor],
    )
    joints, _ = settle(some, cameras, theirs, found.joints[donor])
    start = Alone(cameras=cameras, joints=joints, cost=found.cost[bad])
    for noise in (3 * pixels.noise, pixels.noise):
        finer = replace(some, noise=noise)
        start = adjust_alone(finer, theirs, start, _free(start.cameras), columns=PANS, rounds=8)
    better = start.cost < found.cost[bad]
    view_from_world, log_focal = (
        found.cameras.view_from_world.copy(),
        found.cameras.log_focal.copy(),
    )
    joints, cost = found.joints.copy(), found.cost.copy()
    at = bad[better]
    view_from_world[at] = start.cameras.view_from_world[better]
    log_focal[at] = start.cameras.log_focal[better]
    joints[at], cost[at] = start.joints[better], start.cost[better]
    cameras = replace(found.cameras, view_from_world=view_from_world, log_focal=log_focal)
    return Alone(cameras=cameras, joints=joints, cost=cost)


def smooth(t_s: Real, found: Alone, trust: Real) -> Wish:
    """Where each camera looks by its own neighbours in time, as sure as these agree."""
    cameras = found.cameras
    apart = t_s[:, None] - t_s
    weight = np.exp(-0.5 * np.square(apart / _SMOOTH_S))
    np.fill_diagonal(weight, 0.0)
    doubt = 1 / (1 + np.square(found.cost / np.median(found.cost) / _BAD))
    by_view = weight[:, :, None] * (trust * doubt[:, None])[None] + 1e-12
    total = by_view.sum(1)
    focal = (by_view * cameras.log_focal[None]).sum(1) / total
    rotation = nearest_rotation(
        np.einsum("nmv,mvij->nvij", by_view, cameras.view_from_world) / total[..., None, None]
    )
    off = np.linalg.norm(turned_by(rotation, cameras.view_from_world), axis=-1)
    turn_sigma = np.maximum(np.median(off, 0) / 1.54, 1e-4)  # median of a 3D Gaussian's length
    focal_sigma = np.maximum(np.median(np.abs(focal - cameras.log_focal), 0) / 0.67, 1e-4)
    return Wish(
        view_from_world=rotation,
        log_focal=focal,
        turn_sigma=_STIFF * turn_sigma,
        focal_sigma=_STIFF * focal_sigma,
    )


def _free(cameras: Cameras) -> Wish:
    return Wish(
        view_from_world=cameras.view_from_world,
        log_focal=cameras.log_focal,
        turn_sigma=_FREE_SIGMA,
        focal_sigma=_FREE_SIGMA,
    )


def alone_from(sightings: Sightings, focal_px: Real, noise: float, rounds: int) -> Alone:
    """Every instant from the lifter's own rotations and a guessed focal length (V,)."""
    body = mean_body(sightings)
    views = sightings.view_from_canonical.astype(float)
    inside, _ = roots_in_views(sightings, body, views, focal_px)
    shape = views.shape[:2]
    count = len(sightings.cameras)
    start = Alone(
        cameras=Cameras(
            view_from_world=nearest_rotation(views),
            centres=-np.einsum("nvji,nvj->nvi", views, inside),
            log_focal=np.broadcast_to(np.log(focal_px), shape).copy(),
            centre_px=sightings.image_px.astype(float) / 2,
            radial=np.zeros(count),
            delay_s=np.zeros(count),
        ),
        joints=body,
        cost=np.zeros(len(body)),
    )
    bones = bones_of(sightings.joint_set)
    stance = Stance(
        bones=bones,
        lengths=measures_of(body, bones),
        body=body,
        bone_sigma=2 * BONE_SIGMA,
        lifter_sigma=LIFTER_SIGMA,
    )
    guess = np.log(sightings.image_px.max(1).astype(float))
    wish = replace(_free(start.cameras), log_focal=np.broadcast_to(guess, shape))
    state = start
    for level in (4 * noise, noise):
        state = adjust_alone(
            pixels_of(sightings, level), stance, state, wish, columns=FREE, rounds=rounds
        )
    return state
