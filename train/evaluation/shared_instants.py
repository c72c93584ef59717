"""How many instants each two cameras of a rig share, and the weakest link between them.

Cameras that never see the athlete at the same time are tied to each other only by way of others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvsf.shapes import Index, Int
from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.view_errors import took_part

# guesses, not measured
_WEAK_SHARE = 0.1  # of the instants with a skeleton
_STRONG = 300  # instants, ten seconds at 30 a second: enough, however long the take is


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakestLink:
    """The two cameras that hold two parts of a rig together, and how many instants they share; no
    camera of one part shares more with one of the other.
    """

    cameras: tuple[str, str]
    parts: tuple[tuple[str, ...], tuple[str, ...]]
    instants: int


def shared_instants(outcome: CalibrationResult) -> Int[Index, "V V"]:
    """At how many instants both of two cameras have a part in the skeleton; on the diagonal, each
    one alone. Only of a session that was calibrated, else AssertionError.
    """
    assert outcome.reconstruction is not None
    part = took_part(outcome.reconstruction).astype(np.intp)
    return np.asarray(part.T @ part)


def shared_by_pair(outcome: CalibrationResult) -> dict[str, dict[str, int]]:
    """The same by the names of the cameras, each pair once, in the order of the rig. Only of a
    session that was calibrated, else AssertionError.
    """
    assert outcome.calibration is not None
    names, shared = outcome.calibration.rig.cameras, shared_instants(outcome)
    return {
        one: {names[v]: int(shared[view, v]) for v in range(view + 1, len(names))}
        for view, one in enumerate(names[:-1])
    }


def weakest_link(shared: Int[Index, "V V"], cameras: Sequence[str]) -> WeakestLink:
    """The least link of the maximum spanning tree of the pairs (Prim 1957), of two or more cameras:
    without it, and without all that are weaker, the rig falls in two.
    """
    inside, links = [0], []
    while len(inside) < len(cameras):
        outside = [view for view in range(len(cameras)) if view not in inside]
        among = shared[np.ix_(inside, outside)]
        a, b = divmod(int(among.argmax()), len(outside))
        links.append((int(among[a, b]), inside[a], outside[b]))
        inside.append(outside[b])
    instants, one, other = min(links)
    part = {one}
    for _ in links:
        for count, a, b in links:
            if (count, a, b) != (instants, one, other) and (a in part) != (b in part):
                part |= {a, b}
    return WeakestLink(
        cameras=(cameras[one], cameras[other]),
        parts=(
            tuple(name for view, name in enumerate(cameras) if view in part),
            tuple(name for view, name in enumerate(cameras) if view not in part),
        ),
        instants=instants,
    )


def weak_link(outcome: CalibrationResult) -> str:
    """One sentence about the weakest link of three or more cameras, if it has few instants: fewer
    than 10 % of those with a skeleton, and fewer than 300. Empty otherwise, or without a rig.
    """
    if outcome.calibration is None or outcome.reconstruction is None:
        return ""
    if len(outcome.calibration.rig.cameras) < 3:
        return ""
    link = weakest_link(shared_instants(outcome), outcome.calibration.rig.cameras)
    instants = int(took_part(outcome.reconstruction).any(1).sum())
    enough = min(int(np.ceil(_WEAK_SHARE * instants)), _STRONG)
    if link.instants >= enough:
        return ""
    one, other = (", ".join(part) for part in link.parts)
    return (
        f"the weakest link is between {link.cameras[0]} and {link.cameras[1]}, which share "
        f"{link.instants} of {instants} instants: none of {one} shares more with one of {other}; "
        f"let both see the athlete for longer ({enough} instants would be enough, by a guess)"
    )
