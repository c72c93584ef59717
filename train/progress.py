"""Progress of a command with its time left, on standard error: bars, or lines where that is no
terminal.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from cvsf.system.progress import report_to

Item = TypeVar("Item")

_LINE_S = 10.0
"""Between two lines; a guess, not measured."""


def with_progress(items: Iterable[Item], what: str, count: int) -> Iterator[Item]:
    """The items one after another; how many are done, and the stages of what is computed between
    them, are shown.
    """
    if not sys.stderr.isatty():
        lines = Lines(what, count)
        with report_to(lines):
            for item in items:
                yield item
                lines.next_item()
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        whole = progress.add_task(what, total=count, visible=count > 1)
        with report_to(_Bar(progress)):
            for item in items:
                yield item
                progress.advance(whole)


class _Bar:
    """A bar of the stage that is computed now."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._stage = progress, ""
        self._task = progress.add_task("", total=None, visible=False)

    def __call__(self, stage: str, done: int, count: int) -> None:
        if stage != self._stage or done == 1:
            self._stage = stage
            self._progress.reset(self._task, total=count, description=stage, visible=True)
        self._progress.update(self._task, completed=done)


class Lines:
    """A line every 10 s at most: how many items are done, and the seconds left of this stage."""

    def __init__(self, what: str, count: int) -> None:
        self._what, self._count, self._done = what, count, 0
        self._stage, self._began_s, self._reported_s = "", 0.0, time.monotonic()
        self._start_s = self._reported_s

    def next_item(self) -> None:
        """Note that one item is done."""
        self._done += 1
        if self._done < self._count:
            elapsed_s = time.monotonic() - self._start_s
            left_s = elapsed_s / self._done * (self._count - self._done)
            self._report(self._what, self._done / self._count, left_s)

    def __call__(self, stage: str, done: int, count: int) -> None:
        if stage != self._stage or done == 1:
            self._stage, self._began_s = stage, time.monotonic()
        elif done < count:  # the clock began when the first step was done
            left_s = (time.monotonic() - self._began_s) / (done - 1) * (count - done)
            self._report(stage, done / count, left_s)

    def _report(self, what: str, share: float, left_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s >= _LINE_S:
            self._reported_s = now_s
            typer.echo(f"{what}: {share:.0%}, {left_s:.0f} s left", err=True)
