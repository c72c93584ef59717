"""A program on a real terminal of a given size, and what its screen shows."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyte

_QUIET_S = 0.03  # a screen is drawn whole within it


class _Screen(pyte.Screen):  # type: ignore[misc]  # pyte is not typed
    """Keeps the rows that scroll off the top; pyte's own HistoryScreen is ten times slower."""

    scrolled: list[str] = []  # noqa: RUF012

    def index(self) -> None:
        if self.cursor.y == self.lines - 1:
            self.scrolled = [*self.scrolled, self.display[0].rstrip()]
        super().index()


class Terminal:
    """A program's screen, as a terminal emulator draws it."""

    def __init__(self, words: Sequence[str], columns: int, rows: int) -> None:
        self.screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            words,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": ""},
        )
        os.close(theirs)

    def run(self, seconds: float) -> bool:
        """Draw for so long, and on while output comes; whether the program still runs then."""
        end_s = time.monotonic() + seconds
        while select.select([self._ours], [], [], max(end_s - time.monotonic(), _QUIET_S))[0]:
            try:
                self._stream.feed(os.read(self._ours, 65536))
            except OSError:  # every program has closed the other end
                self.process.wait()
                return False
        return True

    def ctrl_c(self) -> None:
        """As a terminal does it: ^C appears at the cursor, and the program is interrupted."""
        self._stream.feed(b"^C")
        self.process.send_signal(signal.SIGINT)

    def lines(self) -> list[str]:
        """The screen, row by row."""
        return [line.rstrip() for line in self.screen.display]

    def history(self) -> list[str]:
        """The rows that have scrolled off the top, then the screen."""
        return [*self.screen.scrolled, *self.lines()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@contextmanager
def on_terminal(words: Sequence[str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    terminal = Terminal(words, columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()
