"""The table of processes: every command line in it starts a program that is there."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

from cvsf.cli import COMMANDS
from cvsf.system.processes import PROCESSES, Process, command
from cvsf.wire import LAST_PORT


def test_a_command_line_begins_with_this_very_python_and_the_module() -> None:
    assert command("node") == [sys.executable, "-m", "cvsf", "node"]
    assert command("calibrator")[2] == "runtime.calibration.calibrator_process"


def test_a_process_that_is_not_in_the_table_has_no_command_line() -> None:
    with pytest.raises(ValueError, match="not enough values to unpack"):
        command("ghost")


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_every_module_of_the_table_can_be_run_and_every_command_is_known(process: Process) -> None:
    module, *words = process.module
    found = importlib.util.find_spec(module)
    if found and found.submodule_search_locations:
        found = importlib.util.find_spec(f"{module}.__main__")
    assert found is not None
    assert found.origin is not None
    tests = [node.test for node in ast.walk(ast.parse(Path(found.origin).read_text()))
             if isinstance(node, ast.If)]  # fmt: skip
    assert any(ast.unparse(test) == "__name__ == '__main__'" for test in tests)
    assert set(words) <= set(COMMANDS)


def test_no_two_processes_bind_the_same_port() -> None:
    ports = [port for process in PROCESSES for port in process.binds]
    assert len(ports) == len(set(ports))
    assert all(1024 < port <= LAST_PORT for port in ports)
