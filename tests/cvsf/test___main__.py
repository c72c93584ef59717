"""The door of the command `cvsf`, in a process of its own."""

import importlib.metadata
import signal
import subprocess
import sys

import pytest

from cvsf.__main__ import main

DOOR = main.__module__


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_version_is_that_of_the_package() -> None:
    done = run("-m", DOOR, "--version")
    assert done.returncode == 0
    assert done.stdout == f"cvsf {importlib.metadata.version('cvsf')}\n"


def test_an_unknown_command_ends_with_one_sentence_and_exit_code_2() -> None:
    done = run("-m", DOOR, "frobnicate", "--now")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "cvsf has no command 'frobnicate --now'; cvsf --help lists them\n"


def test_nothing_slow_is_loaded_before_signals_are_handled() -> None:
    slow = ("numpy", "typer", "rich", "onnxruntime", "torch")
    code = f"import sys; from {DOOR} import main; print([m for m in {slow} if m in sys.modules])"
    assert run("-c", code).stdout == "[]\n"


@pytest.mark.parametrize(("command", "ends_with"), [("node", 0), ("cameras", -signal.SIGTERM)])
def test_only_a_live_command_exits_with_0_at_a_signal_during_its_start(
    command: str, ends_with: int
) -> None:
    code = (
        f"import os, sys; from {DOOR} import main\n"
        f"sys.argv = ['cvsf', {command!r}, '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
        "print('still here')"
    )
    done = run("-c", code)
    assert f"cvsf {command}" in done.stdout
    assert "still here" not in done.stdout
    assert done.returncode == ends_with
