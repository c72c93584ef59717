"""Groups on their way from the receiver's thread to the pose loop.

Of live cameras the newest, of files all of them, in order.
"""

import threading
from collections import deque

from runtime.synchronise import Group


class Inbox:
    """A queue that drops live groups nobody had time for, and counts them."""

    def __init__(self) -> None:
        self._groups: deque[tuple[Group, bool]] = deque()
        self._ready = threading.Condition()
        self.skipped = 0

    def put(self, group: Group, *, lossless: bool) -> None:
        """Add a group; a live one pushes out the live ones that still wait."""
        with self._ready:
            if not lossless:
                waiting = len(self._groups)
                self._groups = deque((g, kept) for g, kept in self._groups if kept)
                self.skipped += waiting - len(self._groups)
            self._groups.append((group, lossless))
            self._ready.notify()

    @property
    def is_empty(self) -> bool:
        """Whether no group waits."""
        return not self._groups

    def get(self, timeout_s: float) -> Group | None:
        """The next group, None when there is none in time."""
        with self._ready:
            if not self._groups:
                self._ready.wait(timeout_s)
            return self._groups.popleft()[0] if self._groups else None
