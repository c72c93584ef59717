"""Eq. 2 of the paper without a pixel grid: a refined keypoint is the argmax of its own Gaussian
plus the epipolar ridges of the other views, within the range that the paper's heatmap covers.

The sum is evaluated at every crossing of two epipolar lines; from the highest few, a fixed number
of mean-shift and Newton steps finds the modes. Training takes the argmax as a constant.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import TINY

JOINT_SPREAD = 0.03
"""Standard deviation of the Gaussian H(p, c) of a keypoint, in canonical units (about 4 cm on an
adult). A guess, not measured.
"""
LINE_SPREAD = 0.04
"""The same of the ridge H(E(p, R), c) along an epipolar line, and of the Gaussian of the fused
body. A guess, not measured.
"""
REACH = 1.0
"""Half side of the range of the heatmap: joints are within trunk and leg of the pelvis. A guess,
not measured.
"""
BODY_CONFIDENCE = 0.8
"""Confidence of the projected fused body as one more heatmap, which Eq. 2 does not have: it lowered
`bad_after` from 0.0299 to 0.0208 (docs/log.md, 2026-11-23).
"""
STARTS = 4
"""Starts of the search for modes; two miss more modes (docs/log.md, 2026-11-23)."""
_NEWTON_SHARES = (0.0, 0.0, 0.0, 0.5, 0.95, 0.95)
"""Of each step: the largest share of the mean-shift matrix that curvature may remove. At 0 a step
is mean-shift, which stays in its basin; near 1 it is Newton's method (docs/log.md, 2026-11-23).
"""
_HALF_WEIGHT_SIN2 = 0.05
"""Squared sine of the angle between two optical axes at which their epipolar line has weight 1/2. A
guess, not measured.
"""
_MIN_START_DISTANCE = 0.06  # of starts: nearer ones lead to the same mode; a guess, not measured
_PARALLEL_SINE = 1e-4  # sine of the angle below which two lines have no crossing
_BORDER = 1e4
"""1 / the distance to the border of the range, in line spreads, below which a point is on it."""
_MIN_DETERMINANT = 1e-30  # lower bound of a determinant
_DAMPING = 1e-5  # of the mean-shift matrix; it keeps a step along a flat ridge finite


_Entry = Float[Tensor, "B V 1 S J"]
_Symmetric = tuple[_Entry, _Entry, _Entry]
"""Symmetric 2x2 matrices as their entries xx, xy, yy."""


class Lines(NamedTuple):
    """E(p_n, R_(n,m)): the epipolar lines of the joints of view n (axis 2) in view m (axis 1)."""

    normal: Float[Tensor, "B V V 2"]
    offset: Float[Tensor, "B V V S J"]  # of a point on the line, along the normal; S = 1 at first
    weight: Float[Tensor, "B V V S J"]


class Gaussian(NamedTuple):
    """One Gaussian of the sum; `precision` is the inverse variance, in line spreads."""

    centre: Float[Tensor, "B V 2 S J"]
    confidence: Float[Tensor, "B V 1 S J"]
    precision: float


class FusedHeatmap(NamedTuple):
    """The summands of Eq. 2, and the range of its argmax; lengths in line spreads."""

    gaussians: tuple[Gaussian, ...]
    lines: Lines
    low: Float[Tensor, "B V 2 S J"]  # least x and y of the range
    high: Float[Tensor, "B V 2 S J"]
    middle: Float[Tensor, "B V 2 S J"]
    half: Float[Tensor, "B V 2 S J"]


def refine_keypoints(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    projected: Float[Tensor, "B V J 2"] | None = None,
    body_confidence: float = 0.0,
) -> Float[Tensor, "B V J 2"]:
    """The argmax of Eq. 2 for 2D poses at canonical scale about the pelvis (no unit; x right, y
    down). `projected`, the 2D of a fused body, is one more start. With a `body_confidence` above 0
    it is one more heatmap too, which Eq. 2 does not have; its confidence is at most half the sum of
    those of the epipolar lines. A view without lines keeps its keypoints. Callers detach the
    result: an argmax has no gradient.
    """
    lines = epipolar_lines(pose2d, confidence, view_from_canonical)
    joint = pose2d.mT[:, :, :, None] / LINE_SPREAD
    reach = REACH / LINE_SPREAD
    precision = (LINE_SPREAD / JOINT_SPREAD) ** 2
    gaussians, candidates = [Gaussian(joint, confidence[:, :, None, None], precision)], [joint]
    if projected is not None:
        candidates.append(projected.mT[:, :, :, None] / LINE_SPREAD)
        if body_confidence:
            line_support = 0.5 * lines.weight.sum(2, keepdim=True)
            limited = line_support.clamp_max(body_confidence)
            gaussians.append(Gaussian(candidates[1], limited, 1.0))
    low, high = joint.clamp_max(-reach), joint.clamp_min(reach)
    heatmap = FusedHeatmap(tuple(gaussians), lines, low, high, (low + high) / 2, (high - low) / 2)
    start = _best_starts(torch.cat([*candidates, _crossings(heatmap)], 3), heatmap)
    modes = find_modes(start, heatmap)
    return _argmax(modes, heatmap_values(modes, heatmap))[:, :, :, 0].mT * LINE_SPREAD


def epipolar_lines(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
) -> Lines:
    """E(p_n, R_(n,m)) of Eq. 2 for all pairs of views, in line spreads.

    The line of p_n passes through (R_m R_n^T)[:2, :2] p_n along d = (R_m R_n^T)[:2, 2]. The paper
    prints R_(n,m) = R_n R_m^T; with R from canonical to view, R_m R_n^T rotates view n to view m. A
    view with itself, or with one of the same optical axis, has no line (d = 0) and weight 0; in Eq.
    2 the weight is the confidence at any angle.
    """
    relative = view_from_canonical[:, :, None] @ view_from_canonical[:, None].mT
    along = relative[..., :2, 2]
    length = along.square().sum(-1, keepdim=True)
    normal = along @ along.new_tensor([[0.0, 1.0], [-1.0, 0.0]]) / length.clamp_min(TINY).sqrt()
    normal_in_source = normal[..., None, :] @ relative[..., :2, :2] / LINE_SPREAD
    offset = normal_in_source @ pose2d[:, None].mT
    angle_weight = (length / (length + _HALF_WEIGHT_SIN2))[..., None]
    return Lines(normal, offset, angle_weight * confidence[:, None, :, None])


def _crossings(heatmap: FusedHeatmap) -> Float[Tensor, "B V 2 C J"]:
    """The crossings of lines a and b, for all ordered pairs, each moved along a into the range.

    Where b is (nearly) parallel to a, as is a itself, it is the point of a nearest to the keypoint.
    """
    normal, offset = heatmap.lines.normal, heatmap.lines.offset[:, :, :, 0]
    keypoint = heatmap.gaussians[0].centre
    x, y = normal[..., 0], normal[..., 1]
    sine = x[:, :, :, None] * y[:, :, None] - y[:, :, :, None] * x[:, :, None]  # (B, V, a, b)
    parallel = (sine.abs() < _PARALLEL_SINE).to(sine.dtype)
    inverse = ((1 - parallel) / (sine + parallel))[:, :, None, :, :, None]
    beside = torch.stack([y, -x], 2)[:, :, :, None, :, None] * offset[:, :, None, :, None]
    normal = normal.mT[..., None]
    near = normal * offset[:, :, None]  # point of a nearest to the origin, (B, V, 2, a, J)
    foot = keypoint + normal * (offset[:, :, None] - (normal * keypoint).sum(2, keepdim=True))
    move = (beside - beside.transpose(3, 4)) * inverse - near[:, :, :, :, None]
    room = heatmap.half[:, :, :, None] - move.sign() * (near - heatmap.middle)[:, :, :, :, None]
    share = (room.clamp_min(0) / move.abs().clamp_min(TINY)).amin(2, keepdim=True).clamp_max(1)
    move = share * move
    to_foot = (foot - near)[:, :, :, :, None] - move
    move = move + parallel[:, :, None, :, :, None] * to_foot
    return (near[:, :, :, :, None] + move).flatten(3, 4)


def _best_starts(
    candidates: Float[Tensor, "B V 2 C J"], heatmap: FusedHeatmap
) -> Float[Tensor, "B V 2 S J"]:
    """The candidates of the highest values, none of them near another."""
    value = heatmap_values(candidates, heatmap)
    chosen = [_argmax(candidates, value)]
    while len(chosen) < STARTS:
        away = (candidates - chosen[-1]).square().sum(2, keepdim=True)
        value = value - (99 - away * (99 * (LINE_SPREAD / _MIN_START_DISTANCE) ** 2)).clamp_min(0)
        chosen.append(_argmax(candidates, value))
    return torch.cat(chosen, 3).maximum(heatmap.low).minimum(heatmap.high)


def _argmax(
    points: Float[Tensor, "B V 2 S J"], value: Float[Tensor, "B V 1 S J"]
) -> Float[Tensor, "B V 2 1 J"]:
    """The point of the highest value, the first of equals."""
    which = value.max(3, keepdim=True).indices
    return points.gather(3, which.expand(-1, -1, 2, -1, -1))


def heatmap_values(
    points: Float[Tensor, "B V 2 S J"], heatmap: FusedHeatmap
) -> Float[Tensor, "B V 1 S J"]:
    """The sum of Gaussians and ridges of Eq. 2 at S points of every joint. It has no unit and is at
    least 0; it is not normalised. Points are on the 2D of each view, in line spreads.
    """
    gaussians, ridge, _ = _summands(points, heatmap)
    value = ridge.sum(2, keepdim=True)
    for gaussian, _ in gaussians:
        value = value + gaussian
    return value


def find_modes(
    start: Float[Tensor, "B V 2 S J"], heatmap: FusedHeatmap
) -> Float[Tensor, "B V 2 S J"]:
    """The modes of Eq. 2 to which mean-shift and Newton steps lead from each start, in line
    spreads; the start itself where that is higher.
    """
    x, y = heatmap.lines.normal[..., 0], heatmap.lines.normal[..., 1]
    products = torch.stack([x * x, x * y, y * y], 2)
    heatmap = _expanded(heatmap, start.shape[3])
    points = start
    for newton_share in _NEWTON_SHARES:
        points = _step(points, heatmap, products, newton_share)
    rises = (heatmap_values(points, heatmap) >= heatmap_values(start, heatmap)).to(points.dtype)
    return start + rises * (points - start)


def _expanded(heatmap: FusedHeatmap, times: int) -> FusedHeatmap:
    """The summands expanded to S starts, once instead of in every step."""

    def each(tensor: Float[Tensor, "B V D 1 J"]) -> Float[Tensor, "B V D S J"]:
        return tensor.expand(*tensor.shape[:3], times, -1).contiguous()

    (normal, offset, weight), (gaussians, *rest) = heatmap.lines, (heatmap.gaussians, *heatmap[2:])
    return FusedHeatmap(
        tuple(Gaussian(each(centre), each(peak), prec) for centre, peak, prec in gaussians),
        Lines(normal, each(offset), each(weight)),
        *(each(border) for border in rest),
    )


def _step(
    points: Float[Tensor, "B V 2 S J"],
    heatmap: FusedHeatmap,
    products: Float[Tensor, "B V 3 V"],
    newton_share: float,
) -> Float[Tensor, "B V 2 S J"]:
    """One step of iteratively reweighted least squares (mean-shift) with some of the summands'
    curvature subtracted (all of it is Newton's method); clamped to the range.
    """
    gaussians, ridge, distance = _summands(points, heatmap)
    shape = (*points.shape[:2], -1, *points.shape[3:])
    ridge_slope = ridge * distance
    pull = -(heatmap.lines.normal.mT @ ridge_slope.flatten(3)).reshape(shape)
    stiffness = (products @ ridge.flatten(3)).reshape(shape)
    curvature = stiffness
    if newton_share:
        curvature = (products @ (ridge_slope * distance).flatten(3)).reshape(shape)
    xx, xy, yy = stiffness[:, :, :1], stiffness[:, :, 1:2], stiffness[:, :, 2:]
    ex, exy, ey = curvature[:, :, :1], curvature[:, :, 1:2], curvature[:, :, 2:]
    for (gaussian, away), (_, _, precision) in zip(gaussians, heatmap.gaussians, strict=True):
        weight = gaussian * precision
        push = weight * away
        xx, yy, pull = xx + weight, yy + weight, pull - push
        if newton_share:
            push = push * precision
            diagonal, x, y = push * away, push[:, :, :1], away[:, :, 1:]
            ex, exy, ey = ex + diagonal[:, :, :1], exy + x * y, ey + diagonal[:, :, 1:]
    xx, yy = xx * (1 + _DAMPING), yy * (1 + _DAMPING)
    if newton_share:
        xx, xy, yy = _less_curvature((xx, xy, yy), (ex, exy, ey), newton_share)
    # at the border of the range a coordinate that would leave it is fixed
    free = ((heatmap.half - pull.sign() * (points - heatmap.middle)) * _BORDER).clamp(0, 1)
    xy, pull = xy * free[:, :, :1] * free[:, :, 1:], pull * free
    x, y = pull[:, :, :1], pull[:, :, 1:]
    move = torch.cat([yy * x - xy * y, xx * y - xy * x], 2)
    move = move / (xx * yy - xy * xy).clamp_min(_MIN_DETERMINANT)
    return (points + move).maximum(heatmap.low).minimum(heatmap.high)


def _less_curvature(
    stiffness: _Symmetric, curvature: _Symmetric, newton_share: float
) -> _Symmetric:
    """The mean-shift matrix less the curvature, scaled down where any direction would lose more
    than the share `newton_share`.
    """
    xx, xy, yy = stiffness
    ex, exy, ey = curvature
    # the trace is an upper bound of the largest share in any direction
    most = (yy * ex + xx * ey - 2 * xy * exy) / (xx * yy - xy * xy).clamp_min(_MIN_DETERMINANT)
    less = newton_share / most.clamp_min(newton_share)
    return xx - less * ex, xy - less * exy, yy - less * ey


def _summands(
    points: Float[Tensor, "B V 2 S J"], heatmap: FusedHeatmap
) -> tuple[
    list[tuple[Float[Tensor, "B V 1 S J"], Float[Tensor, "B V 2 S J"]]],
    Float[Tensor, "B V V S J"],
    Float[Tensor, "B V V S J"],
]:
    """At points: each Gaussian's value and the offset from its centre, the ridges' values and the
    distances from their lines.
    """
    gaussians = []
    for centre, confidence, precision in heatmap.gaussians:
        away = points - centre
        energy = away.square().sum(2, keepdim=True)
        gaussians.append((confidence * _gaussian(energy * precision), away))
    normal, offset, weight = heatmap.lines
    shape = (*points.shape[:2], -1, *points.shape[3:])
    distance = (normal @ points.flatten(3)).reshape(shape) - offset
    return gaussians, weight * _gaussian(distance.square()), distance


def _gaussian(squared: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
    """exp(-x / 2), with x at most 120: denormal numbers are slow."""
    return squared.clamp_max(120).mul_(-0.5).exp_()
