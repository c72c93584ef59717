"""The row of the simulator's ground truth of each instant of a session, by the stamps of its
frames.

Ground truth is in a file of its own, never in the session, and is used for scores only.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from cvsf.session.reader import SessionReader


def truth_rows(reader: SessionReader, truth_file: Path) -> dict[int, int]:
    """Index of the instant: row of `raw_ns` in the simulator's file of which one frame of the
    instant has the stamp. Instants without exactly one row are left out. Reads all frames of the
    session; OSError if the file cannot be read.
    """
    stamps = {(f.camera, f.boot_id, f.seq): f.raw_ns for f in reader.frames()}
    row_of: dict[int, int] = {}
    with np.load(truth_file, allow_pickle=False) as file:
        for row, times in enumerate(file["raw_ns"]):
            row_of.update({int(t): row for t in times if t > 0})
    found: dict[int, set[int]] = defaultdict(set)
    for instant in reader.instants():
        for camera, (boot_id, seq) in instant.frames.items():
            raw_ns = stamps.get((camera, boot_id, seq))
            if raw_ns in row_of:
                found[instant.index].add(row_of[raw_ns])
    return {index: rows.pop() for index, rows in found.items() if len(rows) == 1}
