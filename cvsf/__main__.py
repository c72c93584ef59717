"""The entry point of `cvsf`.

Ctrl-C and SIGTERM end a hub and a node well from the start, so all else is loaded afterwards.
"""

import sys

from cvsf.system.shutdown import leave_on_signal

_LIVE = ("hub", "node")


def main() -> None:
    """Run the command."""
    if sys.argv[1:] and sys.argv[1] in _LIVE:
        leave_on_signal()
    from cvsf.cli import run

    run()


if __name__ == "__main__":
    main()
