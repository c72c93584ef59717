"""Progress of long computations, reported to whoever listens, such as a command that shows it.

Without a listener it costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Step = TypeVar("Step")

Listener = Callable[[str, int, int], None]
"""Gets the name of the stage, how many of its steps are done, and how many there are."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def report_to(listener: Listener) -> Iterator[None]:
    """All stages of what is computed in the block, on this thread, are reported to the listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def reported(stage: str, steps: Sequence[Step]) -> Iterator[Step]:
    """The steps one after another; each that is done is reported to the listener, if there is more
    than one.
    """
    listener = _listener.get() if len(steps) > 1 else None
    for done, step in enumerate(steps, 1):
        yield step
        if listener is not None:
            listener(stage, done, len(steps))
