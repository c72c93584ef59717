"""One console owns the terminal: log lines of every process above the one table, alarms whole."""

import os
import signal
import sys
from pathlib import Path

import pytest

from runtime.stats import Stats
from runtime.telemetry.alarms import alarms
from tests.support.hub_stats import ALARMED
from tests.support.product import CAPTURE, free_ports, until
from tests.support.ptys import Terminal, on_terminal

_HUB = """
import logging, os, sys, threading
from cvsf.system.log import relay, start_log
from cvsf.system.shutdown import stop_on_signal, stop_with_parent
from runtime.stats import Stats
from runtime.telemetry.alarms import alarms
from runtime.telemetry.table import LiveTable
from tests.support.hub_stats import ALARMED
start_log()
stop = threading.Event()
stop_with_parent(stop, relay)
stop_on_signal(stop)
stats = Stats.model_validate(ALARMED)
stats = stats.model_copy(update={"alarms": alarms(stats)})
os.write(int(sys.argv[-1]), b"\\n")
with LiveTable() as table:
    while not stop.wait(0.5):
        table.show(stats)
        logging.getLogger("hub").info("hub line")
logging.getLogger("hub").warning("hub ends")
"""
_NODE = """
echo '{"open": true}'; read moment; echo '{"filming": true}'
for n in 1 2 3 4 5 6 7 8 9 10; do
  sleep PAUSE
  echo '{"level": "warning", "from": "node", "event": "node line '$n'", "camera": "cam0"}' >&2
done
"""
_SUPERVISOR = """
import sys
from capture.supervisor import Child, share_terminal, supervise
from cvsf.system.log import start_log
start_log()
hub, node = sys.argv[1:]
child, nodes = Child("hub", [sys.executable, "-c", hub]), [
    Child("cam0", ["sh", "-c", node], reports=True)
]
share_terminal(child, nodes)
sys.exit(supervise(child, nodes, None))
"""


def tops(lines: list[str]) -> int:
    return sum("─ cvsf " in line for line in lines)


def words(lines: list[str]) -> str:
    """The text inside the table's frame, its line breaks undone."""
    return " ".join(" ".join(line.strip("│ ") for line in lines).split())


def is_whole(terminal: Terminal) -> bool:
    """Whether the screen shows one table with every alarm; a busy machine may draw it slowly."""
    ended = not terminal.run(0.05)
    text = words(terminal.lines())
    return ended or (
        tops(terminal.lines()) == 1
        and all(alarm in text for alarm in alarms(Stats.model_validate(ALARMED)))
    )


def started(node: str) -> list[str]:
    return [sys.executable, "-c", _SUPERVISOR, _HUB, node]


def shows(terminal: Terminal, text: str, seconds: float = 30.0) -> bool:
    return until(lambda: terminal.run(0.1) and text in "\n".join(terminal.lines()), seconds)


@pytest.mark.parametrize("pause_s", [0.3, pytest.param(1.0, marks=pytest.mark.slow)])
def test_log_lines_stay_above_one_table_with_every_alarm_of_eight_cameras(pause_s: float) -> None:
    with on_terminal(started(_NODE.replace("PAUSE", str(pause_s)))) as terminal:
        assert shows(terminal, "─ cvsf ")
        seen = 0
        while terminal.run(pause_s) and "hub ends" not in words(terminal.lines()):
            seen += 1
            assert tops(terminal.lines()) <= 1, "\n".join(terminal.lines())
            assert until(lambda: is_whole(terminal)), "\n".join(terminal.lines())
        assert seen > 3
        while terminal.run(0.5):
            pass
        assert terminal.process.returncode == 0
        rows = terminal.history()
    assert tops(rows) == 0, "the table is taken away at the end, and none has scrolled away"
    said = [row for row in rows if "node line" in row]
    assert [int(row.split("node line ")[1].split()[0]) for row in said] == list(range(1, 11))
    assert any("hub line" in row for row in rows)
    assert any("hub ends" in row for row in rows)


def test_a_killed_hub_leaves_its_table_behind_and_the_log_goes_on_below_it() -> None:
    with on_terminal(started(_NODE.replace("PAUSE", "0.4"))) as terminal:
        assert shows(terminal, "─ cvsf ")
        (hub,) = children(terminal.process.pid, _HUB)
        os.kill(hub, signal.SIGKILL)
        assert shows(terminal, "process died, restarting it")
        assert not terminal.screen.cursor.hidden
        (row,) = [line for line in terminal.lines() if "process died" in line]
        assert not set(row) & set("╯│")
        assert until(lambda: terminal.run(0.1) and terminal.lines()[-1].startswith("╰"))
        while terminal.run(0.5):
            pass
        rows = terminal.history()
    assert tops(rows) == 1, "that of the killed hub"
    assert sum("node line" in row for row in rows) >= 8


def test_the_sentence_of_a_node_that_refuses_reaches_the_terminal() -> None:
    with on_terminal(started("echo 'cam0: no such camera' >&2; exit 2")) as terminal:
        while terminal.run(0.5):
            pass
        assert terminal.process.returncode == 2
        assert "cam0: no such camera" in "\n".join(terminal.history())


def children(parent: int, code: str) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(pid) for pid in found if code in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.slow
def test_ctrl_c_prints_a_short_summary_with_the_next_command(tmp_path: Path) -> None:
    source = ["--source", "sim", "--size", "320x240", "--fps", "15", "--name", "slalom"]
    product = [*CAPTURE, "--cams", "2", *source, "--data", str(tmp_path), *free_ports()]
    with on_terminal(product, columns=120, rows=40) as terminal:
        assert shows(terminal, "─ cvsf ", 60)
        assert shows(terminal, "exposure to skeleton", 60)
        assert tops(terminal.lines()) == 1
        terminal.ctrl_c()
        while terminal.run(0.5):
            pass
        assert terminal.process.returncode == 0
        rows = terminal.history()
    (session,) = (tmp_path / "sessions").iterdir()
    assert tops(rows) == 0
    text = "\n".join(rows)
    assert f"next:cvsfsessions{session}" in "".join(text.split())
    assert not set(text) & set("╭╰"), "nothing of the table is left"
    assert "skeletons measured" in text
    assert "{" not in text
    assert len([row for row in rows if row.strip()]) < 30
