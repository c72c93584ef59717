"""Eq. 2 without a heatmap: the refined joint is the highest mode of its own Gaussian and the other
views' epipolar ridges, within the range that the paper's heatmap covers.

Its height is compared at every crossing of two lines; from the best few a fixed number of steps
climbs to the modes themselves. All of it is an argmax: callers that train hold it constant.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from cvsf.geometry import TINY

JOINT_SPREAD = 0.03
"""Standard deviation of a joint's Gaussian H(p, c), canonical units (about 4 cm on an adult)."""
LINE_SPREAD = 0.04
"""Of the ridge H(E(p, R), c), and of what the fused body says."""
REACH = 1.0
"""Half the side of the range searched: no joint is farther from the pelvis than trunk and leg."""
BODY_VOTE = 0.8
"""Confidence of the fused body's own projection where it is one more view (`refined`, `vote`)."""
STARTS = 3
SHIFTS, NEWTONS = 4, 4
_USEFUL = 0.05  # squared sine of the angle between two cameras at which their line counts half
_APART = 0.06  # starts nearer to each other climb to the same mode
_PARALLEL = 1e-4  # sine under which two lines have no crossing
_DAMPING = 1e-5  # share of the stiffness, so that a flat ridge throws nothing along itself
_CONVEX = 0.02  # share of mean-shift's determinant that a Newton step's must have


class Lines(NamedTuple):
    """E(p_n, R_(n,m)): the epipolar lines of the joints of view n (axis 2) in view m (axis 1)."""

    normal: Float[Tensor, "B V V 2"]
    offset: Float[Tensor, "B V V J"]  # of the line, along its normal
    trust: Float[Tensor, "B V V J"]


class Bump(NamedTuple):
    """One Gaussian of the sum, N columns; its precision is in line spreads."""

    place: Float[Tensor, "B V 2 N"]
    confidence: Float[Tensor, "B V 1 N"]
    precision: float


class Sum(NamedTuple):
    """The summands of Eq. 2 for N columns (starts by joints), lengths in line spreads."""

    bumps: tuple[Bump, ...]
    lines: Lines
    low: Float[Tensor, "B V 2 N"]  # of the range
    high: Float[Tensor, "B V 2 N"]


def refined(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
    projected: Float[Tensor, "B V J 2"] | None = None,
    vote: float = 0.0,
) -> Float[Tensor, "B V J 2"]:
    """The argmax of Eq. 2 for 2D poses at one scale about the pelvis; a joint nothing pulls stays.

    `projected` is one more place to start from; with a `vote` above 0, which Eq. 2 has not, it is
    one more heatmap of that confidence. The result is a constant for the optimiser (detached by
    the callers): no gradient goes through the choice of a mode.
    """
    lines = epipolar_lines(pose2d, confidence, view_from_canonical)
    joint = pose2d.mT / LINE_SPREAD
    reach = REACH / LINE_SPREAD
    bumps = [Bump(joint, confidence[:, :, None], (LINE_SPREAD / JOINT_SPREAD) ** 2)]
    places = [joint]
    if projected is not None:
        places.append(projected.mT / LINE_SPREAD)
        if vote:
            bumps.append(Bump(places[1], torch.full_like(confidence[:, :, None], vote), 1.0))
    whole = Sum(tuple(bumps), lines, joint.clamp_max(-reach), joint.clamp_min(reach))
    candidates = torch.cat([torch.stack(places, 3), _crossings(whole)], 3)
    start = _best_starts(candidates, whole)
    columns = _repeated(whole, start.shape[3])
    top = climb(start.flatten(-2), columns)
    shape = (*start.shape[:2], -1, *start.shape[3:])
    best = heights(top, columns).reshape(shape).argmax(3, keepdim=True)
    return _at(top.reshape(shape), best)[:, :, :, 0].mT * LINE_SPREAD


def epipolar_lines(
    pose2d: Float[Tensor, "B V J 2"],
    confidence: Float[Tensor, "B V J"],
    view_from_canonical: Float[Tensor, "B V 3 3"],
) -> Lines:
    """The line of p_n passes through a = (R_m R_n^T)[:2, :2] p_n along d = (R_m R_n^T)[:2, 2].

    In line spreads. Cameras that look the same way have no line (d = 0) and no trust in it, and a
    view has none in itself.
    """
    relative = view_from_canonical[:, :, None] @ view_from_canonical[:, None].mT
    along = relative[..., :2, 2]
    length = along.square().sum(-1, keepdim=True)
    normal = along @ along.new_tensor([[0.0, 1.0], [-1.0, 0.0]]) / length.clamp_min(TINY).sqrt()
    across = normal[..., None, :] @ relative[..., :2, :2] / LINE_SPREAD
    offset = (across @ pose2d[:, None].mT)[..., 0, :]
    return Lines(normal, offset, length / (length + _USEFUL) * confidence[:, None])


def _crossings(whole: Sum) -> Float[Tensor, "B V 2 C J"]:
    """Where lines a and b cross, for all ordered pairs, brought along a into the range; and the
    joint's foot on a where b is (nearly) parallel to it, as every line is to itself.
    """
    normal, offset, _ = whole.lines
    joint = whole.bumps[0].place
    x, y = normal[..., 0], normal[..., 1]
    sine = x[:, :, :, None] * y[:, :, None] - y[:, :, :, None] * x[:, :, None]  # (B, V, a, b)
    parallel = sine.abs() < _PARALLEL
    inverse = (1 / torch.where(parallel, 1.0, sine))[:, :, None, :, :, None]
    beside = torch.stack([y, -x], 2)[:, :, :, None, :, None] * offset[:, :, None, :, None]
    near = (normal.mT[..., None] * offset[:, :, None])[:, :, :, :, None]  # the origin's foot on a
    move = (beside - beside.transpose(3, 4)) * inverse - near
    room = torch.where(move > 0, whole.high[:, :, :, None, None] - near, 0.0)
    room = torch.where(move < 0, near - whole.low[:, :, :, None, None], room).clamp_min(0)
    share = (room / move.abs().clamp_min(TINY)).amin(2, keepdim=True).clamp_max(1)
    foot = joint[:, :, :, None] - normal.mT[..., None] * (normal @ joint - offset)[:, :, None]
    parallel = parallel[:, :, None, :, :, None]
    return torch.where(parallel, foot[:, :, :, :, None], near + share * move).flatten(3, 4)


def _best_starts(candidates: Float[Tensor, "B V 2 C J"], whole: Sum) -> Tensor:
    """The highest of the candidates, and the next highest that are not beside one chosen already
    (B, V, 2, STARTS, J).
    """
    inside = candidates.maximum(whole.low[:, :, :, None]).minimum(whole.high[:, :, :, None])
    shape = inside.shape[3:]
    height = heights(inside.flatten(-2), _repeated(whole, shape[0]))
    height = height.reshape(*height.shape[:-1], *shape)
    chosen: list[Tensor] = []
    for _ in range(STARTS):
        chosen.append(_at(inside, height.argmax(3, keepdim=True)))
        beside = (inside - chosen[-1]).square().sum(2, keepdim=True)
        height = torch.where(beside < (_APART / LINE_SPREAD) ** 2, -1.0, height)
    return torch.cat(chosen, 3)


def _at(points: Float[Tensor, "B V 2 S J"], which: Tensor) -> Float[Tensor, "B V 2 1 J"]:
    return points.gather(3, which.expand(-1, -1, 2, -1, -1))


def heights(point: Float[Tensor, "B V 2 N"], columns: Sum) -> Float[Tensor, "B V 1 N"]:
    """The sum of Eq. 2 at points."""
    bumps, ridge, _ = _summands(point, columns)
    height = ridge.sum(2, keepdim=True)
    for bump, _ in bumps:
        height = height + bump
    return height


def climb(point: Float[Tensor, "B V 2 N"], columns: Sum) -> Float[Tensor, "B V 2 N"]:
    """Where mean-shift, which never descends, and then Newton end from each start; the higher of
    the two.
    """
    normal = columns.lines.normal
    products = torch.stack(
        [normal[..., 0].square(), normal[..., 0] * normal[..., 1], normal[..., 1].square()], 2
    )
    for _ in range(SHIFTS):
        point = _step(point, columns, products, newton=False)
    top = point
    for _ in range(NEWTONS):
        top = _step(top, columns, products, newton=True)
    return torch.where(heights(top, columns) >= heights(point, columns), top, point)


def _step(point: Tensor, columns: Sum, products: Tensor, newton: bool) -> Tensor:
    """One step of reweighted least squares on a 2x2 system, or of Newton where the sum is concave;
    never out of the range.
    """
    bumps, ridge, distance = _summands(point, columns)
    pull = -columns.lines.normal.mT @ (ridge * distance)
    stiff, round_ = products @ ridge, torch.zeros_like(pull[:, :, :1])
    bent = products @ (ridge * distance.square()) if newton else None
    for (bump, away), (_, _, precision) in zip(bumps, columns.bumps, strict=True):
        weight = bump * precision
        pull = pull - weight * away
        round_ = round_ + weight
        if bent is not None:
            x, y = away[:, :, :1], away[:, :, 1:]
            bent = bent + weight * precision * torch.cat([x * x, x * y, y * y], 2)
    xx, xy, yy = stiff[:, :, :1] + round_, stiff[:, :, 1:2], stiff[:, :, 2:] + round_
    if bent is not None:
        nx, ny, nz = xx - bent[:, :, :1], xy - bent[:, :, 1:2], yy - bent[:, :, 2:]
        concave = (nx * nz - ny * ny > _CONVEX * (xx * yy - xy * xy)) & (nx + nz > 0)
        xx, xy, yy = (torch.where(concave, n, s) for n, s in ((nx, xx), (ny, xy), (nz, yy)))
    # at the range's border the coordinate that would leave rests
    rests = ((point >= columns.high) & (pull > 0)) | ((point <= columns.low) & (pull < 0))
    pull = torch.where(rests, 0.0, pull)
    xy = torch.where(rests[:, :, :1] | rests[:, :, 1:], 0.0, xy)
    damping = _DAMPING * (xx + yy)
    xx, yy = xx + damping, yy + damping
    x, y = pull[:, :, :1], pull[:, :, 1:]
    move = torch.cat([yy * x - xy * y, xx * y - xy * x], 2)
    move = move / (xx * yy - xy * xy).clamp_min(1e-30)
    return (point + move).maximum(columns.low).minimum(columns.high)


def _summands(point: Tensor, columns: Sum) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
    """At points: every bump's height and the way from it, the ridges (B V V N) and the distances
    from their lines.
    """
    bumps = []
    for place, confidence, precision in columns.bumps:
        away = point - place
        energy = away.square().sum(2, keepdim=True)
        bumps.append((confidence * (energy * (-precision / 2)).exp(), away))
    distance = columns.lines.normal @ point - columns.lines.offset
    return bumps, columns.lines.trust * (distance.square() * -0.5).exp(), distance


def _repeated(whole: Sum, times: int) -> Sum:
    """The same summands for several points a joint."""

    def wide(tensor: Tensor) -> Tensor:
        return tensor[..., None, :].expand(*tensor.shape[:-1], times, -1).flatten(-2)

    normal, offset, trust = whole.lines
    return Sum(
        tuple(Bump(wide(place), wide(sure), sharp) for place, sure, sharp in whole.bumps),
        Lines(normal, wide(offset), wide(trust)),
        wide(whole.low),
        wide(whole.high),
    )
