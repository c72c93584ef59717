"""The pictures of some instants, where there are any: of a clip or a session.

A multi-view file has none, and a session recorded without frames has none either.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from jaxtyping import UInt8

from cvsf.session.reader import MANIFEST, SessionReader
from train.data.clip import is_clip, video_of

Picture = UInt8[npt.NDArray[np.uint8], "H W 3"]
Stills = dict[tuple[int, int], Picture]
"""RGB by row and view."""


def stills(file: Path, cameras: Sequence[str], rows: Sequence[int]) -> Stills:
    """RGB pictures by (row, view), from a clip's videos or a session's frames; `rows` are the
    numbers of frames or of 2D poses, from 0, at least one. Pictures that are not there are left
    out; none for a file or another folder. Refusal if a clip lacks a camera's video, IndexError if
    a session has no such row.
    """
    if not file.is_dir():
        return {}
    if is_clip(file):
        return _of_videos(file, cameras, rows)
    return _of_session(file, cameras, rows) if (file / MANIFEST).is_file() else {}


def _of_videos(folder: Path, cameras: Sequence[str], rows: Sequence[int]) -> Stills:
    found: Stills = {}
    for view, camera in enumerate(cameras):
        video = cv2.VideoCapture(str(video_of(folder, camera)))
        for row in range(max(rows) + 1):  # seeking is off by frames in some files
            there, picture = video.read()
            if not there:
                break
            if row in rows:
                found[row, view] = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
        video.release()
    return found


def _of_session(folder: Path, cameras: Sequence[str], rows: Sequence[int]) -> Stills:
    reader = SessionReader(folder)
    numbers = [pose.instant for pose in reader.poses()]
    row_of = {numbers[row]: row for row in rows}
    wanted = {
        (camera, *source): (row_of[instant.index], cameras.index(camera))
        for instant in reader.instants()
        if instant.index in row_of
        for camera, source in instant.frames.items()
        if camera in cameras
    }
    found: Stills = {}
    for frame in reader.frames():
        row_and_view = wanted.get((frame.camera, frame.boot_id, frame.seq))
        if row_and_view is not None:
            found[row_and_view] = simplejpeg.decode_jpeg(frame.jpeg, "RGB")
    return found
