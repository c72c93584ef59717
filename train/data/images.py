"""The pictures of some instants, where there are any: of a clip or a session.

A multi-view file has none, and a session recorded without frames has none either.
"""

from collections.abc import Collection, Sequence
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


def stills(file: Path, cameras: Sequence[str], cells: Collection[tuple[int, int]]) -> Stills:
    """RGB pictures of these cells (row, view), from a clip's videos or a session's frames; rows are
    the numbers of frames or of 2D poses, from 0, views those of `cameras`. Pictures that are not
    there are left out; none for a file or another folder. Refusal if a clip lacks a camera's video,
    IndexError if a session has no such row.
    """
    if not file.is_dir() or not cells:
        return {}
    if is_clip(file):
        return _of_videos(file, cameras, cells)
    return _of_session(file, cameras, cells) if (file / MANIFEST).is_file() else {}


def _of_videos(folder: Path, cameras: Sequence[str], cells: Collection[tuple[int, int]]) -> Stills:
    found: Stills = {}
    for view, camera in enumerate(cameras):
        rows = {row for row, of in cells if of == view}
        if not rows:
            continue
        video = cv2.VideoCapture(str(video_of(folder, camera)))
        for row in range(max(rows) + 1):  # seeking is off by frames in some files
            if not video.grab():
                break
            if row in rows:
                there, picture = video.retrieve()
                if there:
                    colours = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                    found[row, view] = np.asarray(colours, np.uint8)
        video.release()
    return found


def _of_session(folder: Path, cameras: Sequence[str], cells: Collection[tuple[int, int]]) -> Stills:
    reader = SessionReader(folder)
    numbers = [pose.instant for pose in reader.poses()]
    row_of = {numbers[row]: row for row, _ in cells}
    view_of = {camera: view for view, camera in enumerate(cameras)}
    wanted = {
        (camera, *source): cell
        for instant in reader.instants()
        for camera, source in instant.frames.items()
        if (cell := (row_of.get(instant.index, -1), view_of.get(camera, -1))) in cells
    }
    found: Stills = {}
    for frame in reader.frames():
        place = wanted.get((frame.camera, frame.boot_id, frame.seq))
        if place is not None:
            found[place] = simplejpeg.decode_jpeg(frame.jpeg, "RGB")
    return found
