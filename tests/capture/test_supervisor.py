"""Child processes kept running: small shell scripts that open, film, refuse and die."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.supervisor import Child, supervise
from tests.support.product import until

OPEN, FILMING = """echo '{"open": true}'""", """echo '{"filming": true}'"""

Start = Callable[..., Child]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signal handlers are this process's again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def script() -> Iterator[Start]:
    """A child that runs a shell script; none is left over."""
    children: list[Child] = []

    def make(name: str, *lines: str) -> Child:
        children.append(Child(name, ["sh", "-c", "\n".join(lines)], reports=True))
        return children[-1]

    yield make
    for child in children:
        if child.process and child.process.stdin:
            child.process.kill()
            child.process.wait()
            child.process.stdin.close()


def is_gone(child: Child) -> bool:
    return child.process is None or child.process.poll() is not None


def checked(child: Child) -> Child:
    child.check()
    return child


def test_children_that_end_well_end_the_run_with_0_and_their_accounts(script: Start) -> None:
    words = ("read moment", FILMING, """echo '{"camera": "x", "exposed": 7, "dropped": {}}'""")
    nodes = [script(name, OPEN, *words) for name in ("cam0", "cam1")]
    assert supervise(None, nodes, None) == 0
    for child in nodes:
        assert child.account == {"camera": "x", "exposed": 7, "dropped": {}}
        assert child.starts == 1


def test_no_camera_films_before_all_are_open_and_the_start_moment_lies_ahead(
    script: Start, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    quick = script("quick", OPEN, "read moment", f"test -e {late} && echo $moment > {tmp_path}/at")
    slow = script("slow", "sleep 0.3", f"touch {late}", OPEN, "read moment")
    begun_ns = time.monotonic_ns()
    assert supervise(None, [quick, slow], None) == 0
    moment_ns = int((tmp_path / "at").read_text())
    assert begun_ns + 600_000_000 < moment_ns < time.monotonic_ns() + 300_000_000


def test_a_child_that_refuses_at_its_first_start_ends_all_with_2(script: Start) -> None:
    other = script("cam0", OPEN, "exec sleep 60")
    refusing = script("cam1", "exit 2")
    assert supervise(None, [other, refusing], None) == 2
    assert is_gone(other)
    assert refusing.starts == 1


def test_a_child_that_dies_while_filming_is_restarted_and_gets_the_start_moment_again(
    script: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = tmp_path / "told"
    child = script(
        "cam0", OPEN, "read moment", f"test -e {told} && exit 0", f"echo $moment > {told}", "exit 9"
    )
    child.start()
    child.let_film(b"123\n")
    first = child.process
    assert first is not None
    assert first.stdin is not None
    assert first.wait(8) == 9
    assert until(lambda: "open" in child.reached)
    assert until(lambda: checked(child).starts == 2)
    assert first.stdin.closed, "the pipe of the dead process"
    assert until(lambda: checked(child).ended)
    assert child.starts == 2
    assert told.read_text() == "123\n"
    (said,) = caplog.records
    assert said.getMessage() == "process died, restarting it"
    assert (vars(said)["child"], vars(said)["code"]) == ("cam0", 9)


def test_a_duration_counts_from_when_every_camera_films(script: Start) -> None:
    wait = ("trap 'exit 0' TERM", "while :; do sleep 0.02; done")
    nodes = [
        script("cam0", OPEN, "read moment", FILMING, *wait),
        script("cam1", OPEN, "read moment", "sleep 0.3", FILMING, *wait),
    ]
    begun_s = time.monotonic()
    assert supervise(None, nodes, 0.2) == 0
    assert time.monotonic() - begun_s >= 0.5
    assert all(is_gone(child) for child in nodes)
