"""The instants of a take, as the hub sends them to its calibrator."""

from cvsf.messages import MultiviewPose
from cvsf.multiview.observations import LiftedObservations
from runtime.calibration.observation_codec import LiftedPose


def instants_of(seen: LiftedObservations) -> list[LiftedPose]:
    """One after another, in the order of the take."""
    return [
        LiftedPose(
            pose=MultiviewPose(
                t_ns=round(seen.t_s[n] * 1e9),
                instant=n,
                cameras=seen.cameras,
                image_px=seen.image_px[n],
                keypoints_px=seen.keypoints_px[n],
                confidence=seen.confidence[n],
                joint_set=seen.joint_set.name,
            ),
            canonical=seen.canonical[n],
            view_from_canonical=seen.view_from_canonical[n],
        )
        for n in range(len(seen))
    ]
