"""Recorded sessions: the 2D poses of a hub, a stretch at a time.

Cameras keep their index on the view axis, whether or not they observed the person.
"""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cvsf.messages import MAX_VIEWS, MultiviewPose
from cvsf.multiview.intrinsics import Intrinsics
from cvsf.multiview.known_lenses import Lenses, known_intrinsics
from cvsf.session.calibrations import recorded_lenses
from cvsf.session.pose_stack import stack_poses
from cvsf.session.reader import SessionReader
from cvsf.skeleton import H36M_16, Array
from cvsf.system.errors import Refusal
from train.data.instants import Recordings

log = logging.getLogger(__name__)

_STRETCH = 20_000
"""Instants read at a time, some 17 minutes at 20 Hz; a guess, not measured."""


def read_session(folder: Path) -> Iterator[Recordings]:
    """The 2D poses of a session folder, at most 20,000 instants at a time; nothing, and a warning
    in the log, if it holds no poses. Cameras are those with recorded pictures in order of name,
    then those that first appear in poses, so a later part may have more views. Refusal, while
    reading, if the folder is no sealed session or has more than 16 cameras.
    """
    reader = SessionReader(folder)
    cameras = sorted(reader.cameras)  # those whose pictures were recorded
    _check_views(len(cameras), folder)  # before anything is read
    lenses, unfit = recorded_lenses(reader.manifest), set[str]()
    poses = reader.poses()
    stretch = list(islice(poses, _STRETCH))
    if not stretch:
        log.warning("session skipped: no 2D poses", extra={"session": folder.name})
    while stretch:
        there = {camera for pose in stretch for camera in pose.cameras}
        cameras += sorted(there.difference(cameras))
        _check_views(len(cameras), folder)
        yield _observations(stretch, cameras, folder.name, lenses, unfit)
        stretch = list(islice(poses, _STRETCH))


def _check_views(cameras: int, folder: Path) -> None:
    if cameras > MAX_VIEWS:
        raise Refusal(
            f"{folder} has {cameras} cameras, expected at most {MAX_VIEWS}; "
            "leave it out, or record with fewer"
        )


def _observations(
    poses: Sequence[MultiviewPose],
    cameras: list[str],
    session: str,
    lenses: Lenses,
    unfit: set[str],
) -> Recordings:
    found = stack_poses(poses, H36M_16, cameras)
    known = _known(lenses, found.cameras, found.size_px, unfit)
    return Recordings(
        joint_set=found.joint_set,
        keypoints_px=found.keypoints_px,
        confidence=found.confidence.clip(0, 1),
        image_px=found.image_px,
        session=(session,) * len(poses),
        subject=("",) * len(poses),
        t_s=found.t_s,
        cameras=found.cameras,
        given_K=None if known is None else np.repeat(known.K[None], len(poses), 0),
        given_distortion=None
        if known is None
        else np.repeat(known.distortion[None], len(poses), 0),
    )


def _known(
    lenses: Lenses, cameras: Sequence[str], size_px: Float[Array, "V 2"], unfit: set[str]
) -> Intrinsics | None:
    """None if no camera's lens is known; one that does not fit its pictures is logged once, and
    added to `unfit`.
    """
    found, problems = known_intrinsics(lenses, cameras, size_px)
    for camera in sorted(problems.keys() - unfit):
        log.warning("known lens not used", extra={"reason": problems[camera]})
        unfit.add(camera)
    return found if found.is_known.any() else None
