"""The command `cvsf`: its overview, its refusals, and commands whose extra is not installed."""

import subprocess
import sys

import pytest

from cvsf.cli import BENCHES, COMMANDS, EXTRA_OF, run

MODULE = run.__module__


def called(*words: str, missing: str = "") -> subprocess.CompletedProcess[str]:
    """`cvsf` with those words, where one package cannot be imported."""
    code = (
        f"import sys\nsys.modules.update(dict.fromkeys({missing.split()!r}))\n"
        f"from {MODULE} import run\nsys.argv = {['cvsf', *words]!r}\nrun()"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [(), ("--help",), ("bench",)])
def test_the_overview_lists_every_command_with_its_text(words: tuple[str, ...]) -> None:
    done = called(*words)
    assert done.returncode == 0
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:2] == "  "]
    listed = {first: rest for first, rest in lines if first not in ("bench", "cvsf")}
    assert listed == {name: text for name, (_, text) in COMMANDS.items()}
    benches = {tuple(rest.split(maxsplit=1)) for first, rest in lines if first == "bench"}
    assert benches == {(name, text) for name, (_, text) in BENCHES.items()}


def test_a_command_whose_extra_is_missing_is_refused_with_how_to_install_it() -> None:
    assert EXTRA_OF["torch"] == "train"
    done = called("train", "--help", missing="torch")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "cvsf train needs torch, which is not installed; run: pip install '.[train]'\n"
    )


def test_a_package_that_belongs_to_no_extra_is_an_error_and_not_a_refusal() -> None:
    done = called("sessions", "--help", missing="pydantic")
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


def test_an_unknown_bench_is_refused_by_its_two_words() -> None:
    done = called("bench", "nothing")
    assert done.returncode == 2
    assert done.stderr == "cvsf has no command 'bench nothing'; cvsf --help lists them\n"


def test_a_command_prints_its_own_help_under_its_own_name() -> None:
    done = called("sessions", "--help")
    assert done.returncode == 0
    assert "Usage: cvsf sessions" in done.stdout
