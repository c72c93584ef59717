"""Recordings of multi-view files and session folders, part by part.

Parts come one at a time, so that training data need never be in memory together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvsf.system.errors import Refusal
from train.data.instants import Recordings, joined
from train.data.npz import read_file
from train.data.sessions import read_session


def read_parts(paths: Sequence[Path]) -> Iterator[Recordings]:
    """The recordings of multi-view files, one part each, and of session folders, in stretches;
    nothing is read before it is iterated. Refusal, while reading, if no path is given, a path is
    neither, or all are sessions without 2D poses.
    """
    if not paths:
        raise Refusal("nothing to read; expected multi-view .npz files or session folders")
    found = False
    for path in paths:
        for part in read_session(path) if path.is_dir() else (read_file(path),):
            found = True
            yield part
    if not found:
        raise Refusal(
            f"{paths[0]} holds no 2D poses; record with --record frames or poses, or give others"
        )


def read_instants(paths: Sequence[Path]) -> Recordings:
    """Multi-view files and session folders as one recording, all in memory; true cameras stay only
    if there is one part. Refusal if a path is neither, or they hold no 2D.
    """
    return joined(list(read_parts(paths)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The subjects to train on: the named ones, or all but the named ones."""

    names: tuple[str, ...] = ()
    without: bool = False

    def learned(self, part: Recordings) -> Recordings:
        """The instants of the subjects that are trained on, all if no subject is named. It may be
        empty: an unknown name is no error here.
        """
        return part.take(np.array([self._chosen(s) for s in part.subject], bool))

    def kept_back(self, part: Recordings) -> Recordings:
        """The instants of the subjects that are only scored on; all instants, also those trained
        on, where no subject is named. It may be empty.
        """
        kept = [not self.names or not self._chosen(s) for s in part.subject]
        return part.take(np.array(kept, bool))

    def _chosen(self, subject: str) -> bool:
        return not self.names or (subject in self.names) != self.without


def choice(subjects: str, not_subjects: str) -> Choice:
    """The subjects from a command's two options, names with commas between; all subjects if both
    are empty. Refusal if both are given or one holds only commas and blanks.
    """
    if subjects and not_subjects:
        raise Refusal("--subjects and --not-subjects exclude each other; give one of them")
    given = subjects or not_subjects
    names = tuple(name.strip() for name in given.split(",") if name.strip())
    if given and not names:
        raise Refusal(f"{given!r} names no subject; expected names separated by commas")
    return Choice(names=names, without=bool(not_subjects))
