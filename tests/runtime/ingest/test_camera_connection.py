"""One run of a camera's node as the hub knows it: its frames, its report, what is on disk."""

import ast
from dataclasses import fields
from typing import Any

import pytest

from cvsf.session.reader import FrameRange, Manifest, SegmentRecord
from runtime.ingest.camera_connection import (
    NOT_KEPT,
    RECORDED,
    Link,
    OnDisk,
    found_on_disk,
    open_link,
    read_report,
    whole,
)
from tests.support.paths import ROOT
from tests.support.receivers import node_report


def test_frames_wait_for_those_before_them_to_be_on_disk() -> None:
    link = open_link(b"", node_report(), None)
    for seq, fate in enumerate([NOT_KEPT, RECORDED, "wrong size", RECORDED]):
        link.take_in(seq, fate)
    link.count_fates()
    assert link.durable == 0
    link.store(1)
    link.count_fates()
    assert (link.durable, dict(link.fates)) == (2, {NOT_KEPT: 1, RECORDED: 1, "wrong size": 1})


def test_only_a_link_writes_its_fields() -> None:
    names = {f.name for f in fields(Link)}
    written = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "runtime").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if node.attr in names and isinstance(node.value, ast.Name) and node.value.id == "link"
    ]
    assert all(place.startswith("camera_connection.py:") for place in written), written


def test_what_a_session_holds_is_summed_over_its_segments() -> None:
    parts = [
        SegmentRecord(
            file=f"seg-{k}.mcap",
            ranges={"cam0": [FrameRange(boot_id="a", first=10 * k, last=10 * k + 9, frames=9)]},
        )
        for k in range(2)
    ]
    manifest = Manifest(name="s", started="", recording="frames", segments=parts)
    assert found_on_disk(manifest) == {("cam0", "a"): OnDisk(last=19, frames=18)}


@pytest.mark.parametrize(
    "changes",
    [
        {"camera": "a/b"},
        {"camera": 7},
        {"boot_id": None},
        {"width_px": 0},
        {"width_px": 20000, "height_px": 20000},
        {"width_px": 64.0},
        {"fps": 0},
        {"fps": float("nan")},
        {"fps": 1e9},
        {"exposed": -1},
        {"dropped": {"x": "y"}},
    ],
)
def test_a_camera_with_impossible_values_in_its_report_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has a sentence of its own
        open_link(b"", node_report(**changes), None)


def test_a_report_is_counted_and_what_it_leaves_out_is_nothing() -> None:
    found = read_report({"exposed": 3, "dropped": {"missed": 2}, "state": "filming"})
    assert (found.exposed, found.acknowledged, found.in_ring) == (3, 0, 0)
    assert found.dropped == {"missed": 2}
    assert found.state == "filming"


@pytest.mark.parametrize("number", [-1, 1.0, "1", True, None, (1 << 53) + 1])
def test_a_number_that_cannot_be_counted_to_is_refused(number: object) -> None:
    with pytest.raises(ValueError, match="is no whole number from 0"):
        whole(number)
    assert whole(1 << 53) == 1 << 53
