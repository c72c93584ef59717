"""cvsf-capture as a bench starts it: what it says, and how its failure is told."""

import socket
from pathlib import Path
from tempfile import TemporaryFile

import pytest

from cvsf.system.errors import Refusal
from runtime.bench.harness import CaptureRun, Running, free_ports, run_capture, running_capture


def test_free_ports_are_different_and_can_be_bound() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_the_session_is_read_from_the_last_line() -> None:
    done = CaptureRun([{"session": "/early"}, {"session": "/data/sessions/x", "final": True}])
    assert done.final["final"] is True
    assert done.session == Path("/data/sessions/x")


def test_a_refusal_of_the_product_is_reported_with_its_command_code_and_sentence(
    tmp_path: Path,
) -> None:
    words = ["--cams", "1", "--source", "sim", "--seed", "-1"]
    with pytest.raises(Refusal) as refused:
        run_capture(words, tmp_path)
    assert str(refused.value) == (
        "cvsf-capture --cams 1 --source sim --seed -1 ended with 2:"
        " the simulator's seed is -1: expected 0 or more."
    )
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_without_a_final_account_has_failed_and_is_not_waited_for(
    tmp_path: Path,
) -> None:
    with running_capture(["--version"], tmp_path) as running:
        with pytest.raises(Refusal, match="cvsf-capture --version ended with 0: nothing"):
            running.wait_for(lambda lines: bool(lines))
        with pytest.raises(Refusal, match="no process runs as node cam0"):
            running.camera_process("cam0")


def test_half_a_line_is_not_read_before_its_end_has_come(tmp_path: Path) -> None:
    with TemporaryFile("w+") as said, TemporaryFile("w+") as errors:
        running = Running(["--version"], tmp_path, said, errors)
        assert running.process.wait(20) == 0
        said.seek(0, 2)
        said.write('{"instants": 1}\n{"instants": ')
        said.flush()
        assert running.lines() == [{"instants": 1}]
        said.seek(0, 2)
        said.write("2}\n")
        said.flush()
        assert running.lines() == [{"instants": 1}, {"instants": 2}]
