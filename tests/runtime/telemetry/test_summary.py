"""What a run has come to, in a few lines with the next command."""

import io

from rich.console import Console

from runtime.stats import Stats
from runtime.telemetry.summary import summary
from tests.support.hub_stats import ALARMED


def printed(**changes: object) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(summary(Stats.model_validate(ALARMED | changes)))
    return console.export_text()


def test_the_summary_is_short_and_names_session_counts_cameras_and_the_next_command() -> None:
    text = printed()
    assert len(text.splitlines()) < 16
    assert "812 instants, 809 skeletons measured, 3 predicted" in text
    (row,) = [row.split() for row in text.splitlines() if "start-camera-of-the-left" in row]
    assert row == ["start-camera-of-the-left-bank", "111111", "0", "12345"]
    assert f"next:cvsfsessions{ALARMED['session']}" in "".join(text.split())


def test_lost_messages_are_said_and_a_run_that_was_not_recorded_has_no_session() -> None:
    text = printed(messages_lost=7, session=None)
    assert "7 messages were lost" in text
    assert "not recorded" in text
    assert "next" not in text
