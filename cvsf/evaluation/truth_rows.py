"""The row of a simulator's ground truth for every instant of a session, by its frames' stamps.

Ground truth is joined to a session only where it is scored; it is never part of the session.
"""

from collections import defaultdict
from pathlib import Path

import numpy as np

from cvsf.session.reader import SessionReader


def truth_rows(reader: SessionReader, truth_file: Path) -> dict[int, int]:
    """Instant: row of the truth, by the exposure stamps of the instant's frames."""
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
