"""A contact sheet of a session: pictures with the 2D pose, and skeletons beside them.

Everything is as recorded.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from cvsf.messages import Frame, Instant, MultiviewPose, Skeleton
from cvsf.session.reader import SessionReader
from cvsf.shapes import Float, Picture, Real, UInt8
from cvsf.skeleton import joint_set
from cvsf.system.errors import Refusal

_ROWS, _HEIGHT_PX = 4, 360
_LEFT, _RIGHT, _MIDDLE = (80, 170, 255), (255, 170, 60), (230, 230, 230)  # BGR
_INK, _PAPER = (235, 235, 235), 24
_FAINT = 0.2  # confidence below which a bone is not drawn; a guess, not measured


def write_sheet(session: Path, out: Path) -> None:
    """Draw four instants of a session, spread over its length, one row each, to the image file
    `out`.

    A row has the pictures with 2D poses, then the skeleton from two sides. An existing file is
    replaced; if few instants have a skeleton, some are drawn more than once. Refusal if the session
    holds no skeleton, or cannot be read; its pictures must be recorded.
    """
    reader = SessionReader(session)
    skeletons = {s.instant: s for s in reader.skeletons()}
    poses = {p.instant: p for p in reader.poses() if p.instant in skeletons}
    instants = [i for i in reader.instants() if i.index in poses]
    if not instants:
        raise Refusal(f"{session} holds no skeleton to draw")
    chosen = [instants[k] for k in np.linspace(0, len(instants) - 1, _ROWS + 2).astype(int)[1:-1]]
    wanted = {(c, *source) for instant in chosen for c, source in instant.frames.items()}
    frames = {
        (f.camera, f.boot_id, f.seq): f
        for f in reader.frames()
        if (f.camera, f.boot_id, f.seq) in wanted
    }
    rows = [_row(i, frames, poses[i.index], skeletons[i.index]) for i in chosen]
    cv2.imwrite(str(out), np.concatenate(rows, 0))


def _row(
    instant: Instant,
    frames: dict[tuple[str, str, int], Frame],
    pose: MultiviewPose,
    skeleton: Skeleton,
) -> UInt8[Picture, "H W 3"]:
    cells = []
    for view, camera in enumerate(pose.cameras):
        if camera in instant.frames:
            frame = frames[(camera, *instant.frames[camera])]
            cells.append(_picture(frame, pose, view))
    cells += [_drawn(skeleton, azimuth) for azimuth in (20.0, 110.0)]
    return np.concatenate(cells, 1)


def _picture(frame: Frame, pose: MultiviewPose, view: int) -> UInt8[Picture, "H W 3"]:
    picture = simplejpeg.decode_jpeg(frame.jpeg, "BGR")
    scale = _HEIGHT_PX / picture.shape[0]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bones = [
        (a, b)
        for a, b in joint_set(pose.joint_set).bones
        if min(pose.confidence[view, a], pose.confidence[view, b]) > _FAINT
    ]
    _draw(small, pose.keypoints_px[view] * scale, bones, pose.joint_set)
    cv2.putText(small, frame.camera, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.asarray(small, np.uint8)


def _drawn(skeleton: Skeleton, azimuth_deg: float) -> UInt8[Picture, "H H 3"]:
    """The skeleton from the side at that azimuth, z up."""
    cell = np.full((_HEIGHT_PX, _HEIGHT_PX, 3), _PAPER, np.uint8)
    turn = np.deg2rad(azimuth_deg)
    x, y, z = skeleton.joints.astype(np.float64).T
    across = np.cos(turn) * y - np.sin(turn) * x
    points = np.stack([across, -z], -1)
    middle = (points.min(0) + points.max(0)) / 2
    scale = 0.8 * _HEIGHT_PX / max(float(np.ptp(points, axis=0).max()), 1e-6)
    at = (points - middle) * scale + _HEIGHT_PX / 2
    _draw(cell, at, joint_set(skeleton.joint_set).bones, skeleton.joint_set)
    label = f"3D {azimuth_deg:.0f} deg"
    cv2.putText(cell, label, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return cell


def _draw(
    canvas: UInt8[Picture, "H W 3"],
    points: Float[Real, "J 2"],
    bones: Sequence[tuple[int, int]],
    set_name: str,
) -> None:
    joints = joint_set(set_name)
    opposite = joints.mirrored
    for a, b in bones:
        sided = b if opposite[b] != b else a
        colour = _MIDDLE
        if opposite[sided] != sided:
            colour = _LEFT if joints.joints[sided].startswith("l") else _RIGHT
        ends = [tuple(int(v) for v in np.round(points[i])) for i in (a, b)]
        cv2.line(canvas, ends[0], ends[1], (0, 0, 0), 5, cv2.LINE_AA)
        cv2.line(canvas, ends[0], ends[1], colour, 3, cv2.LINE_AA)
