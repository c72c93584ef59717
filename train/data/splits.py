"""Instants to learn from and instants only to report on, split while recordings are read.

The first go to disk as they come; of the second a bounded number is kept in memory.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvsf.system.errors import Refusal
from train.data.datasets import published
from train.data.instants import Recordings, joined
from train.data.read import Choice, read_parts


@dataclass(slots=True)
class KeptBack:
    """At most about twice `most` instants of all that were added, evenly spread."""

    most: int
    every: int = 1
    offset: int = 0
    parts: list[Recordings] = field(default_factory=list)
    _rows: list[npt.NDArray[np.intp]] = field(default_factory=list)  # numbers among all added

    def add(self, part: Recordings) -> None:
        """Add instants to score on, in memory. While more than twice `most` are kept, the stride is
        doubled: of all that were ever added, only every `every`-th stays.
        """
        self._keep(np.arange(self.offset, self.offset + len(part)), part)
        self.offset += len(part)
        while sum(map(len, self.parts)) > 2 * self.most:
            self.every *= 2
            kept = list(zip(self._rows, self.parts, strict=True))
            self._rows, self.parts = [], []
            for rows, fewer in kept:
                self._keep(rows, fewer)

    def _keep(self, rows: npt.NDArray[np.intp], part: Recordings) -> None:
        """The instants whose number is a multiple of the stride."""
        wanted = rows % self.every == 0
        if wanted.any():
            self._rows.append(rows[wanted])
            self.parts.append(part.take(wanted))

    def instants(self) -> Recordings:
        """At most `most` kept-back instants with a person, evenly spread; what is kept stays
        unchanged. Refusal if no instant has a confidence above 0.
        """
        detected = (part.take(np.any(part.confidence > 0, axis=(-2, -1))) for part in self.parts)
        parts = [part for part in detected if len(part)]
        if not parts:
            raise Refusal("no instant of a person is left to report on; learn from fewer subjects")
        whole = joined(parts)
        rows = np.linspace(0, len(whole) - 1, min(len(whole), self.most)).astype(int)
        return whole.take(np.unique(rows))


def divide(
    parts: Iterable[Recordings], choice: Choice, kept_back: KeptBack
) -> Iterator[Recordings]:
    """The instants to train on, part by part (a part may be empty); the others are added to
    `kept_back`. If no subject is named, all instants are in both. Refusal at the end if a named
    subject was in no part, or nothing was left to train on.
    """
    there: set[str] = set()
    learned = 0
    for part in parts:
        there |= set(part.subject)
        kept_back.add(choice.kept_back(part))
        chosen = choice.learned(part)
        learned += len(chosen)
        yield chosen
    if unknown := [name for name in choice.names if name not in there]:
        raise Refusal(
            f"no instant is of subject {unknown[0]!r}, expected some of {', '.join(sorted(there))}"
        )
    if not learned:
        raise Refusal("no instant is left after the choice of subjects; name fewer or others")


@dataclass(frozen=True, slots=True)
class Material:
    """The recordings that a command was given, and the subjects to train on."""

    paths: list[Path]
    dataset: Path | None
    choice: Choice
    truth_2d: bool = False  # of a dataset: 2D that no detector found

    def parts(self, kept_back: KeptBack) -> Iterator[Recordings]:
        """The instants to train on, part by part, read while it is iterated. Kept-back ones are
        added to `kept_back`: of a dataset its test split, else what `divide` says. Refusal if a
        dataset is given together with files or subjects, or if what is read is missing or wrong.
        """
        if self.dataset is None:
            yield from divide(read_parts(self.paths), self.choice, kept_back)
            return
        if self.paths or self.choice.names:
            raise Refusal("--dataset brings its own files and split; give no others with it")
        yield from published(self.dataset, None, "train", truth_2d=self.truth_2d)
        for part in published(self.dataset, None, "test", truth_2d=self.truth_2d):
            kept_back.add(part)
