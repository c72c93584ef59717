"""One instant for self-calibration, stacked into observations, and its bytes between processes.

The outputs of the lifter are included, so that nothing is lifted twice.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from cvsf.engine.engine import Lifted
from cvsf.messages import MultiviewPose, from_header, to_header
from cvsf.multiview.observations import LiftedObservations
from cvsf.shapes import Float
from cvsf.skeleton import Array, JointSet, joint_set


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftedPose:
    """The 2D of one instant in the lifter's joint set, and the lifter's outputs for each view."""

    pose: MultiviewPose
    canonical: Float[Array, "V J 3"]
    view_from_canonical: Float[Array, "V 3 3"]

    @property
    def t_s(self) -> float:
        """Mean time of exposure, hub clock, in s."""
        return self.pose.t_ns * 1e-9

    @property
    def views(self) -> int:
        """Number of views with a joint of confidence above 0."""
        return int(self.pose.confidence.any(-1).sum())

    def arranged(self, cameras: tuple[str, ...], without: Collection[str] = ()) -> Self:
        """The instant with one view for each of `cameras`, in that order; other views are left out.

        A camera that the instant lacks gets confidence 0 and picture size 0, and its other values
        mean nothing. Confidence is 0 also for cameras in `without`. The instant itself stays
        unchanged; it is returned, not a copy, if it has just these views and `without` is empty.
        """
        pose = self.pose
        if pose.cameras == cameras and not without:
            return self
        is_known = np.array([camera in pose.cameras for camera in cameras])
        views = [pose.cameras.index(camera) if camera in pose.cameras else 0 for camera in cameras]
        is_used = is_known & np.array([camera not in without for camera in cameras])
        return replace(
            self,
            pose=replace(
                pose,
                cameras=cameras,
                image_px=pose.image_px[views] * is_known[:, None],
                keypoints_px=pose.keypoints_px[views],
                confidence=pose.confidence[views] * is_used[:, None],
            ),
            canonical=self.canonical[views],
            view_from_canonical=self.view_from_canonical[views],
        )


def lifted_pose(pose: MultiviewPose, lifted: Lifted, names: JointSet) -> LiftedPose:
    """The instant with the lifter's outputs, its keypoints (px) in the joint set `names`.

    `lifted` must come from this pose, with the same views. Its arrays are shared, not copied.
    """
    return LiftedPose(
        pose=pose.in_joint_set(names),
        canonical=lifted.canonical,
        view_from_canonical=lifted.view_from_canonical,
    )


def stack(
    instants: Sequence[LiftedPose],
    cameras: tuple[str, ...] | None = None,
    without: Collection[str] = (),
) -> LiftedObservations:
    """Observations in order of time, with one view for each of `cameras`, in that order.

    Without `cameras`, the views are all cameras of the instants, by name. Confidence is 0 where a
    camera is absent, and for those in `without`. Times are in s, hub clock. At least one instant is
    needed (else IndexError), and all must have the same joint set.
    """
    if cameras is None:
        cameras = tuple(sorted({camera for instant in instants for camera in instant.pose.cameras}))
    rows = [instant.arranged(cameras, without) for instant in sorted(instants, key=lambda s: s.t_s)]
    return LiftedObservations(
        joint_set=joint_set(rows[0].pose.joint_set),
        cameras=cameras,
        image_px=np.stack([row.pose.image_px for row in rows]),
        t_s=np.array([row.t_s for row in rows]),
        keypoints_px=np.stack([row.pose.keypoints_px for row in rows]),
        confidence=np.stack([row.pose.confidence for row in rows]),
        canonical=np.stack([row.canonical for row in rows]),
        view_from_canonical=np.stack([row.view_from_canonical for row in rows]),
    )


def to_map(instant: LiftedPose) -> dict[str, Any]:
    """The instant as a map for `cvsf.messages.pack`, of the kind `seen`.

    Arrays stay arrays, and are not copied.
    """
    return {
        "kind": "seen",
        "pose": to_header(instant.pose),
        "canonical": instant.canonical,
        "view_from_canonical": instant.view_from_canonical,
    }


def from_map(message: Mapping[str, Any]) -> LiftedPose:
    """The instant of a map that `to_map` wrote; its arrays are those of the map.

    KeyError for a map without `pose`, `canonical` or `view_from_canonical`.
    """
    return LiftedPose(
        pose=from_header(MultiviewPose, message["pose"]),
        canonical=message["canonical"],
        view_from_canonical=message["view_from_canonical"],
    )
