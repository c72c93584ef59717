"""Recorded sessions: the 2D poses a hub saw, a stretch at a time.

Cameras keep their place on the view axis, whichever of them saw the person.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from cvsf.messages import MultiviewPose
from cvsf.session.pose_stack import stack_poses
from cvsf.session.reader import SessionReader
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.data.instants import MAX_VIEWS, Instants

log = logging.getLogger(__name__)

_STRETCH = 20_000
"""Instants read at a time: some 17 minutes."""


def read_session(folder: Path) -> Iterator[Instants]:
    """A session in stretches, none if it holds no poses; Refusal if it has too many cameras."""
    reader = SessionReader(folder)
    cameras = sorted(reader.cameras)  # those whose pictures were recorded
    poses = reader.poses()
    stretch = list(islice(poses, _STRETCH))
    if not stretch:
        log.warning("session skipped: no 2D poses", extra={"session": folder.name})
    while stretch:
        there = {camera for pose in stretch for camera in pose.cameras}
        cameras += sorted(there.difference(cameras))
        if len(cameras) > MAX_VIEWS:
            raise Refusal(
                f"{folder} has {len(cameras)} cameras, expected at most {MAX_VIEWS}; "
                "leave it out, or record with fewer"
            )
        yield _instants(stretch, cameras, folder.name)
        stretch = list(islice(poses, _STRETCH))


def _instants(poses: Sequence[MultiviewPose], cameras: list[str], session: str) -> Instants:
    found = stack_poses(poses, H36M_16, cameras)
    return Instants(
        keypoints_px=found.keypoints_px,
        confidence=found.confidence.clip(0, 1),
        image_px=found.image_px,
        session=(session,) * len(poses),
        subject=("",) * len(poses),
        t_s=found.t_s,
        cameras=found.cameras,
    )
