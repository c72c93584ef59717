"""The entry point of `cvsf-capture`.

Ctrl-C and SIGTERM are handled from the start, so heavy modules are imported afterwards.
"""

from cvsf.system.shutdown import leave_on_signal


def main() -> None:
    """Run `cvsf-capture` with the arguments of the command line; it ends with SystemExit. A Refusal
    is one sentence on standard error and exit 2. Ctrl-C and SIGTERM end the process at once, with
    exit 0, until the command sets handlers of its own.
    """
    leave_on_signal()
    import typer

    from capture.launch import capture
    from cvsf.cli import run_or_refuse

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(capture)
    run_or_refuse(app)


if __name__ == "__main__":
    main()
