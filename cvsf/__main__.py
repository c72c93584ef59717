"""The entry point of `cvsf`.

Ctrl-C and SIGTERM end a hub or a node in order from the start: all other modules are imported
later.
"""

import sys

from cvsf.system.shutdown import leave_on_signal

_LIVE = ("hub", "node")


def main() -> None:
    """Run the command `cvsf` with the words that the process was started with."""
    if sys.argv[1:] and sys.argv[1] in _LIVE:
        leave_on_signal()
    from cvsf.cli import run

    run()


if __name__ == "__main__":
    main()
