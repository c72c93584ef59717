"""Eq. 2 without a heatmap: the refined joint is the highest mode of its own Gaussian and the other
views' epipolar ridges, within the range that the paper's heatmap covers.

The sum is evaluated at every crossing of two lines; from the best few a fixed number of steps
climbs to the modes. The result is an argmax: training takes it as a constant.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.model.geometry import TINY

JOINT_SPREAD = 0.03
"""Standard deviation of a joint's Gaussian H(p, c), canonical units (about 4 cm on an adult). A
guess, not measured.
"""
LINE_SPREAD = 0.04
"""Of the ridge H(E(p, R), c), and of the fused body's Gaussian. A guess, not measured."""
REACH = 1.0
"""Half the side of the range of the search: joints are within trunk and leg of the pelvis."""
BODY_VOTE = 0.8
"""Confidence of the fused body's projection as one more view (`refined`, `vote`): docs/log.md,
2026-11-23, where `bad_after` fell from 0.0299 to 0.0208.
"""
STARTS = 4
"""Points from which the climb starts; two miss more modes (docs/log.md, 2026-11-23)."""
_CAUTION = (0.0, 0.0, 0.0, 0.5, 0.95, 0.95)
"""Of each step of the climb: the largest share of the stiffness that curvature may take away. At 0
a step is mean-shift, which stays in its basin; near 1 it is Newton's method (docs/log.md,
2026-11-23).
"""
_USEFUL = 0.05
"""Squared sine of the angle between two cameras at which their line has weight 1/2. A guess, not
measured.
"""
_APART = 0.06  # starts nearer to each other climb to the same mode; a guess, not measured
_PARALLEL = 1e-4  # sine of the angle below which two lines have no crossing
_BORDER = 1e4
"""1 / the distance to the range's border, in line spreads, within which a point is on it."""
_NOTHING = 1e-30  # lower bound of a determinant
_DAMPING = 1e-5  # share of the stiffness, which keeps the step along a flat ridge finite


_Entry = Float[Tensor, "B V 1 S J"]
_Symmetric = tuple[_Entry, _Entry, _Entry]
"""2x2 matrices as xx, xy, yy."""


class Lines(NamedTuple):
    """E(p_n, R_(n,m)): the epipolar lines of the joints of view n (axis 2) in view m (axis 1)."""

    normal: Float[Tensor, "B V V 2"]
    offset: Float[Tensor, "B V V S J"]  # of the line, along its normal; S = 1 until repeated
    weight: Float[Tensor, "B V V S J"]


class Bump(NamedTuple):
    """One Gaussian of the sum; its precision is in line spreads."""

    place: Float[Tensor, "B V 2 S J"]
    confidence: Float[Tensor, "B V 1 S J"]
    precision: float


class Sum(NamedTuple):
    """The summands of Eq. 2, lengths in line spreads."""

    bumps: tuple[Bump, ...]
    lines: Lines
    low: Float[Tensor, "B V 2 S J"]  # of the range
    high: Float[Tensor, "B V 2 S J"]
    middle: Float[Tensor, "B V 2 S J"]
    half: Float[Tensor, "B V 2 S J"]


def refined(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    projected: Float[Tensor, "B V J 2"] | None = None,
    vote: float = 0.0,
) -> Float[Tensor, "B V J 2"]:
    """The argmax of Eq. 2 for 2D poses at one scale about the pelvis; a joint without confidence
    stays.

    `projected` is one more start; with a `vote` above 0, which Eq. 2 has not, it is one more
    heatmap of that confidence, or of half the sum of its lines' if that is less. Callers detach the
    result: a choice of mode has no gradient.
    """
    lines = epipolar_lines(pose2d, confidence, view_from_canonical)
    joint = pose2d.mT[:, :, :, None] / LINE_SPREAD
    reach = REACH / LINE_SPREAD
    precision = (LINE_SPREAD / JOINT_SPREAD) ** 2
    bumps, places = [Bump(joint, confidence[:, :, None, None], precision)], [joint]
    if projected is not None:
        places.append(projected.mT[:, :, :, None] / LINE_SPREAD)
        if vote:
            backed = (0.5 * lines.weight.sum(2, keepdim=True)).clamp_max(vote)
            bumps.append(Bump(places[1], backed, 1.0))
    low, high = joint.clamp_max(-reach), joint.clamp_min(reach)
    whole = Sum(tuple(bumps), lines, low, high, (low + high) / 2, (high - low) / 2)
    start = _best_starts(torch.cat([*places, _crossings(whole)], 3), whole)
    top = climb(start, whole)
    return _at(top, heights(top, whole))[:, :, :, 0].mT * LINE_SPREAD


def epipolar_lines(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
) -> Lines:
    """The line of p_n passes through a = (R_m R_n^T)[:2, :2] p_n along d = (R_m R_n^T)[:2, 2].

    The paper prints R_(n,m) = R_n R_m^T; with R from canonical to view, R_m R_n^T turns view n to
    view m. In line spreads. Cameras with the same axis have no line (d = 0) and weight 0, as has a
    view with itself; in Eq. 2 the weight is the confidence at any angle.
    """
    relative = view_from_canonical[:, :, None] @ view_from_canonical[:, None].mT
    along = relative[..., :2, 2]
    length = along.square().sum(-1, keepdim=True)
    normal = along @ along.new_tensor([[0.0, 1.0], [-1.0, 0.0]]) / length.clamp_min(TINY).sqrt()
    across = normal[..., None, :] @ relative[..., :2, :2] / LINE_SPREAD
    offset = across @ pose2d[:, None].mT
    useful = (length / (length + _USEFUL))[..., None]
    return Lines(normal, offset, useful * confidence[:, None, :, None])


def _crossings(whole: Sum) -> Float[Tensor, "B V 2 C J"]:
    """Where lines a and b cross, for all ordered pairs, moved along a into the range; the joint's
    foot on a where b is (nearly) parallel to it, as every line is to itself.
    """
    normal, offset = whole.lines.normal, whole.lines.offset[:, :, :, 0]
    joint = whole.bumps[0].place
    x, y = normal[..., 0], normal[..., 1]
    sine = x[:, :, :, None] * y[:, :, None] - y[:, :, :, None] * x[:, :, None]  # (B, V, a, b)
    parallel = (sine.abs() < _PARALLEL).to(sine.dtype)
    inverse = ((1 - parallel) / (sine + parallel))[:, :, None, :, :, None]
    beside = torch.stack([y, -x], 2)[:, :, :, None, :, None] * offset[:, :, None, :, None]
    normal = normal.mT[..., None]
    near = normal * offset[:, :, None]  # the origin's foot on a (B, V, 2, a, J)
    foot = joint + normal * (offset[:, :, None] - (normal * joint).sum(2, keepdim=True))
    move = (beside - beside.transpose(3, 4)) * inverse - near[:, :, :, :, None]
    room = whole.half[:, :, :, None] - move.sign() * (near - whole.middle)[:, :, :, :, None]
    share = (room.clamp_min(0) / move.abs().clamp_min(TINY)).amin(2, keepdim=True).clamp_max(1)
    move = share * move
    missing = (foot - near)[:, :, :, :, None] - move
    move = move + parallel[:, :, None, :, :, None] * missing
    return (near[:, :, :, :, None] + move).flatten(3, 4)


def _best_starts(candidates: Float[Tensor, "B V 2 C J"], whole: Sum) -> Float[Tensor, "B V 2 S J"]:
    """The highest of the candidates, and the next highest that are not near a chosen one."""
    height = heights(candidates, whole)
    chosen = [_at(candidates, height)]
    while len(chosen) < STARTS:
        away = (candidates - chosen[-1]).square().sum(2, keepdim=True)
        height = height - (99 - away * (99 * (LINE_SPREAD / _APART) ** 2)).clamp_min(0)
        chosen.append(_at(candidates, height))
    return torch.cat(chosen, 3).maximum(whole.low).minimum(whole.high)


def _at(
    points: Float[Tensor, "B V 2 S J"], height: Float[Tensor, "B V 1 S J"]
) -> Float[Tensor, "B V 2 1 J"]:
    """The highest of the points, the first of equals."""
    which = height.max(3, keepdim=True).indices
    return points.gather(3, which.expand(-1, -1, 2, -1, -1))


def heights(points: Float[Tensor, "B V 2 S J"], whole: Sum) -> Float[Tensor, "B V 1 S J"]:
    """The sum of Eq. 2 at S points of every joint."""
    bumps, ridge, _ = _summands(points, whole)
    height = ridge.sum(2, keepdim=True)
    for bump, _ in bumps:
        height = height + bump
    return height


def climb(start: Float[Tensor, "B V 2 S J"], whole: Sum) -> Float[Tensor, "B V 2 S J"]:
    """The end of mean-shift and Newton steps from each start; never lower than the start."""
    x, y = whole.lines.normal[..., 0], whole.lines.normal[..., 1]
    products = torch.stack([x * x, x * y, y * y], 2)
    whole = _repeated(whole, start.shape[3])
    top = start
    for caution in _CAUTION:
        top = _step(top, whole, products, caution)
    rises = (heights(top, whole) >= heights(start, whole)).to(top.dtype)
    return start + rises * (top - start)


def _repeated(whole: Sum, times: int) -> Sum:
    """The summands expanded to S starts once, not in every step."""

    def each(tensor: Float[Tensor, "B V D 1 J"]) -> Float[Tensor, "B V D S J"]:
        return tensor.expand(*tensor.shape[:3], times, -1).contiguous()

    (normal, offset, weight), (bumps, *rest) = whole.lines, (whole.bumps, *whole[2:])
    return Sum(
        tuple(Bump(each(place), each(sure), sharp) for place, sure, sharp in bumps),
        Lines(normal, each(offset), each(weight)),
        *(each(border) for border in rest),
    )


def _step(
    points: Float[Tensor, "B V 2 S J"],
    whole: Sum,
    products: Float[Tensor, "B V 3 V"],
    caution: float,
) -> Float[Tensor, "B V 2 S J"]:
    """One step of reweighted least squares on 2x2 systems, less some of the curvature of the
    summands (all of it is Newton's method); never out of the range.
    """
    bumps, ridge, distance = _summands(points, whole)
    shape = (*points.shape[:2], -1, *points.shape[3:])
    leaning = ridge * distance
    pull = -(whole.lines.normal.mT @ leaning.flatten(3)).reshape(shape)
    stiff = (products @ ridge.flatten(3)).reshape(shape)
    bent = (products @ (leaning * distance).flatten(3)).reshape(shape) if caution else stiff
    xx, xy, yy = stiff[:, :, :1], stiff[:, :, 1:2], stiff[:, :, 2:]
    ex, exy, ey = bent[:, :, :1], bent[:, :, 1:2], bent[:, :, 2:]
    for (bump, away), (_, _, precision) in zip(bumps, whole.bumps, strict=True):
        weight = bump * precision
        push = weight * away
        xx, yy, pull = xx + weight, yy + weight, pull - push
        if caution:
            push = push * precision
            turned, x, y = push * away, push[:, :, :1], away[:, :, 1:]
            ex, exy, ey = ex + turned[:, :, :1], exy + x * y, ey + turned[:, :, 1:]
    xx, yy = xx * (1 + _DAMPING), yy * (1 + _DAMPING)
    if caution:
        xx, xy, yy = _unbent((xx, xy, yy), (ex, exy, ey), caution)
    # at the range's border a coordinate that would leave is fixed
    free = ((whole.half - pull.sign() * (points - whole.middle)) * _BORDER).clamp(0, 1)
    xy, pull = xy * free[:, :, :1] * free[:, :, 1:], pull * free
    x, y = pull[:, :, :1], pull[:, :, 1:]
    move = torch.cat([yy * x - xy * y, xx * y - xy * x], 2)
    move = move / (xx * yy - xy * xy).clamp_min(_NOTHING)
    return (points + move).maximum(whole.low).minimum(whole.high)


def _unbent(stiff: _Symmetric, bent: _Symmetric, caution: float) -> _Symmetric:
    """The stiffness less the curvature, or less so much of it that no direction loses more than the
    share `caution`.
    """
    xx, xy, yy = stiff
    ex, exy, ey = bent
    # the trace is an upper bound of the largest share in any direction
    most = (yy * ex + xx * ey - 2 * xy * exy) / (xx * yy - xy * xy).clamp_min(_NOTHING)
    less = caution / most.clamp_min(caution)
    return xx - less * ex, xy - less * exy, yy - less * ey


def _summands(
    points: Float[Tensor, "B V 2 S J"], whole: Sum
) -> tuple[
    list[tuple[Float[Tensor, "B V 1 S J"], Float[Tensor, "B V 2 S J"]]],
    Float[Tensor, "B V V S J"],
    Float[Tensor, "B V V S J"],
]:
    """At points: every bump's height and the offset from it, the ridges' heights and the distances
    from their lines.
    """
    bumps = []
    for place, confidence, precision in whole.bumps:
        away = points - place
        energy = away.square().sum(2, keepdim=True)
        bumps.append((confidence * _bell(energy * precision), away))
    normal, offset, weight = whole.lines
    shape = (*points.shape[:2], -1, *points.shape[3:])
    distance = (normal @ points.flatten(3)).reshape(shape) - offset
    return bumps, weight * _bell(distance.square()), distance


def _bell(squared: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
    """exp(-x / 2), with x at most 120: denormal numbers are slow."""
    return squared.clamp_max(120).mul_(-0.5).exp_()
