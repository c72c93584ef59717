"""The queue of groups from the receiver's thread to the main thread.

Groups of files are all processed, in order; of live cameras the newest is. A short delay of the
main thread loses nothing, because a few live groups in a row may wait.
"""

import threading
from collections import deque

from runtime.ingest.synchroniser import Group

_MOST_BEHIND = 3
"""Live groups in a row that may wait behind others; a guess, not measured."""


class InstantQueue:
    """A queue that drops live groups when the main thread is too slow, and counts them."""

    def __init__(self) -> None:
        self._groups: deque[tuple[Group, bool]] = deque()
        self._ready = threading.Condition()
        self._behind = 0  # live groups in a row that found others waiting
        self.skipped = 0

    def put(self, group: Group, *, lossless: bool) -> None:
        """Add a group; never blocks.

        If more than three groups in a row found others waiting and this one is live (not
        `lossless`), it replaces all live groups that wait; these are counted in `skipped`. Lossless
        groups are never dropped.
        """
        with self._ready:
            self._behind = self._behind + 1 if self._groups else 0
            if not lossless and self._behind > _MOST_BEHIND:
                waiting = len(self._groups)
                self._groups = deque((g, kept) for g, kept in self._groups if kept)
                self.skipped += waiting - len(self._groups)
            self._groups.append((group, lossless))
            self._ready.notify()

    @property
    def is_empty(self) -> bool:
        """Whether no instant waits."""
        return not self._groups

    def get(self, timeout_s: float) -> Group | None:
        """Take the oldest group out of the queue; waits up to `timeout_s` (s) for one, else None.

        If a group is there, it returns at once.
        """
        with self._ready:
            if not self._groups:
                self._ready.wait(timeout_s)
            return self._groups.popleft()[0] if self._groups else None
