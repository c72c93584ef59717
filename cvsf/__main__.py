"""The entry point of `cvsf`.

Ctrl-C and SIGTERM end a hub or a node in order from the start: all other modules are imported
later.
"""

import sys

from cvsf.system.shutdown import leave_on_signal

_LIVE = ("hub", "node")


def main() -> None:
    """Run the command `cvsf` with the words in `sys.argv`. For `hub` and `node`, Ctrl-C and SIGTERM
    first exit with 0, until the command sets its own handlers. SystemExit as `cvsf.cli.run`.
    """
    if sys.argv[1:] and sys.argv[1] in _LIVE:
        leave_on_signal()
    from cvsf.cli import run

    run()


if __name__ == "__main__":
    main()
