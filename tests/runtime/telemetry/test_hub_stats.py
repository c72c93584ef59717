"""The hub's figures of a second: counts since the start, rates since the last look."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runtime.ingest.camera_connection import NOT_KEPT, RECORDED, Link, OnDisk, Report
from runtime.ingest.receiver import Receiver
from runtime.telemetry.hub_stats import InstantCounter
from tests.support.material import make_pose
from tests.support.receivers import connect


def joined(receiver: Receiver, camera: str, report: Report | None = None) -> Link:
    link = connect(receiver, camera)
    link.last_message_s += 3600  # however slow the machine is
    if report:
        link.report = report
    return link


def read(figures: InstantCounter, receiver: Receiver, *, final: bool = False) -> dict[str, Any]:
    return figures.read(receiver, final=final).to_map()


def test_instants_are_counted_from_the_start_and_rated_since_the_last_look(
    receiver: Receiver,
) -> None:
    figures = InstantCounter()
    pose = make_pose(0)
    alone = replace(pose, confidence=pose.confidence * np.array([[1], [0]], np.float32))
    for shown, full in ((pose, True), (pose, False), (alone, True)):
        figures.count_pose(shown, full=full)
    first, second = read(figures, receiver), read(figures, receiver)
    assert (first["instants"], first["instants_full"], first["instants_several_views"]) == (3, 2, 2)
    assert first["instants_full_per_s"] == pytest.approx(2 * first["instants_partial_per_s"], 0.01)
    assert second["instants"] == 3
    assert second["instants_per_s"] == second["instants_partial_per_s"] == 0


def test_every_exposure_is_recorded_not_kept_dropped_or_in_the_ring(receiver: Receiver) -> None:
    report = Report(
        exposed=100,
        in_ring=7,
        clock_error_ns=1_500_000,
        dropped=Counter({"ring full": 3}),
        fates=Counter({RECORDED: 80, NOT_KEPT: 4, "damaged picture": 2}),
    )
    joined(receiver, "cam0", report)
    camera = read(InstantCounter(), receiver)["cameras"]["cam0"]
    assert (camera["recorded"], camera["not_kept"], camera["in_ring"]) == (80, 4, 7)
    assert camera["dropped"] == 100 - 80 - 4 - 7
    assert camera["dropped_by"] == {
        "ring full": 3, "damaged picture": 2, "lost with a killed hub": 4
    }  # fmt: skip
    assert camera["clock_error_ms"] == 1.5


def test_a_camera_is_live_lost_silent_stopped_or_ended(receiver: Receiver) -> None:
    joined(receiver, "live")
    joined(receiver, "lost", Report(state="lost"))
    joined(receiver, "silent").last_message_s -= 7200
    joined(receiver, "stopped").gone = True
    ended = joined(receiver, "ended")
    ended.gone = ended.ended = True
    receiver.resume = {("before", "b"): OnDisk(last=9, frames=8)}
    cameras = read(InstantCounter(), receiver)["cameras"]
    assert {name: one["state"] for name, one in cameras.items()} == {
        "live": "live", "lost": "lost", "silent": "silent", "stopped": "stopped",
        "ended": "ended", "before": "silent",
    }  # fmt: skip
    before = cameras["before"]
    assert (before["exposed"], before["recorded"], before["dropped"]) == (10, 8, 2)


def test_a_cameras_confidence_is_the_mean_of_this_second_alone(receiver: Receiver) -> None:
    joined(receiver, "cam0")
    figures, pose = InstantCounter(), make_pose(0)
    for sure in (0.5, 0.9):
        views = np.full_like(pose.confidence, sure)
        figures.count_pose(replace(pose, confidence=views), full=True)
    assert read(figures, receiver)["cameras"]["cam0"]["confidence"] == pytest.approx(0.7)
    assert read(figures, receiver)["cameras"]["cam0"]["confidence"] is None


def test_frames_of_every_run_of_a_camera_are_counted_and_rated_once(receiver: Receiver) -> None:
    figures = InstantCounter()
    joined(receiver, "cam0").frames = 30
    receiver.runs["cam0", "earlier"] = replace(receiver.links["cam0"], frames=12)
    first = read(figures, receiver)["cameras"]["cam0"]
    assert first["received"] == 42
    assert first["fps"] > 0
    assert read(figures, receiver)["cameras"]["cam0"]["fps"] == 0
