"""One instant as self-calibration sees it, and its bytes on the way to the surveyor.

What the lifter made of each view travels along, so that nothing is lifted twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from cvsf.engine.engine import Lifted
from cvsf.messages import MultiviewPose
from cvsf.multiview.observations import LiftedObservations
from cvsf.skeleton import JointSet, joint_set

_PER_INSTANT = ("image_px", "keypoints_px", "confidence", "canonical", "view_from_canonical")


def seen_now(pose: MultiviewPose, lifted: Lifted, names: JointSet) -> LiftedObservations:
    """The instant, in the joint set of the lifter."""
    pose = pose.in_joint_set(names)
    return LiftedObservations(
        joint_set=names,
        cameras=pose.cameras,
        image_px=pose.image_px[None],
        t_s=np.array([pose.t_ns * 1e-9]),
        keypoints_px=pose.keypoints_px[None],
        confidence=pose.confidence[None],
        canonical=lifted.canonical[None],
        view_from_canonical=lifted.view_from_canonical[None],
    )


def arranged(
    seen: LiftedObservations, cameras: tuple[str, ...], without: Collection[str] = ()
) -> LiftedObservations:
    """The views in that order; a camera that is not there, or is left out, saw nobody."""
    if seen.cameras == cameras and not without:
        return seen
    there = [camera in seen.cameras for camera in cameras]
    views = [seen.cameras.index(c) if known else 0 for c, known in zip(cameras, there, strict=True)]
    ordered = seen.of_views(views)
    known = np.array(there)
    trusted = known & np.array([camera not in without for camera in cameras])
    return replace(
        ordered,
        cameras=cameras,
        image_px=ordered.image_px * known[:, None],
        confidence=ordered.confidence * trusted[:, None],
    )


def joined(instants: Sequence[LiftedObservations]) -> LiftedObservations:
    """One take of those instants, in the order of time, with every camera of any of them."""
    cameras = tuple(sorted({camera for seen in instants for camera in seen.cameras}))
    rows = [arranged(seen, cameras) for seen in sorted(instants, key=lambda s: float(s.t_s[0]))]
    return LiftedObservations(
        joint_set=rows[0].joint_set,
        cameras=cameras,
        image_px=np.concatenate([row.image_px for row in rows]),
        t_s=np.concatenate([row.t_s for row in rows]),
        keypoints_px=np.concatenate([row.keypoints_px for row in rows]),
        confidence=np.concatenate([row.confidence for row in rows]),
        canonical=np.concatenate([row.canonical for row in rows]),
        view_from_canonical=np.concatenate([row.view_from_canonical for row in rows]),
    )


def to_map(seen: LiftedObservations) -> dict[str, Any]:
    """The instant as `cvsf.messages.pack` takes it."""
    arrays = {f.name: getattr(seen, f.name) for f in fields(seen)}
    return arrays | {
        "kind": "seen",
        "joint_set": seen.joint_set.name,
        "cameras": list(seen.cameras),
        "t_s": [float(t) for t in seen.t_s],
    }


def from_map(told: Mapping[str, Any]) -> LiftedObservations:
    """The instant that `to_map` wrote."""
    return LiftedObservations(
        joint_set=joint_set(told["joint_set"]),
        cameras=tuple(told["cameras"]),
        t_s=np.array(told["t_s"]),
        **{name: told[name] for name in _PER_INSTANT},
    )
