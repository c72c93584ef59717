"""Instants on disk come back as they were written, and are only there when they are asked for."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvsf.evaluation.ground_truth import GroundTruth
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.data.instants import PseudoLabels, Recordings
from train.data.memmap_store import open_store, write_store


def instants(seed: int, count: int, views: int, session: str, *, truth: bool = True) -> Recordings:
    random = np.random.default_rng(seed)
    shape = (count, views, len(H36M_16))
    return Recordings(
        joint_set=H36M_16,
        cameras=tuple(f"cam{view}" for view in range(views)),
        keypoints_px=random.uniform(0, 1000, (*shape, 2)).astype(np.float32),
        confidence=random.uniform(0.1, 1, shape).astype(np.float32),
        image_px=random.uniform(600, 2000, (count, views, 2)).astype(np.float32),
        session=(session,) * count,
        subject=("ann",) * count,
        t_s=np.arange(count) / 30,
        truth=GroundTruth(joints_mm=random.normal(0, 500, (*shape, 3)).astype(np.float32))
        if truth
        else GroundTruth(),
    )


def test_rows_of_parts_with_other_numbers_of_views_come_back_exactly(tmp_path: Path) -> None:
    parts = [instants(0, 5, 2, "a"), instants(1, 4, 4, "b"), instants(2, 7, 3, "c")]
    write_store(parts, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert (len(store), store.views, store.sessions) == (16, 4, ("a", "b", "c"))
    order = np.random.default_rng(3).permutation(np.repeat(np.arange(16), 2))
    found = store.rows(order)
    assert found.truth.joints_mm is not None
    where = [(part, row) for part in parts for row in range(len(part))]
    for at, (part, row) in enumerate(where[number] for number in order):
        views = part.confidence.shape[1]
        assert part.truth.joints_mm is not None
        for name, wanted in (
            ("keypoints_px", part.keypoints_px),
            ("confidence", part.confidence),
            ("image_px", part.image_px),
            ("joints_mm", part.truth.joints_mm),
        ):
            rows = getattr(found.truth if name == "joints_mm" else found, name)
            assert np.array_equal(rows[at, :views], wanted[row])
            assert not rows[at, views:].any()


def test_opening_a_large_store_loads_nothing_of_it(tmp_path: Path) -> None:
    write_store([instants(0, 2000, 4, "a"), instants(1, 10, 2, "b")], tmp_path / "store")
    store = open_store(tmp_path / "store")
    arrays = [array for part in store._parts for array in part.values()]
    assert len(arrays) == 8
    assert all(isinstance(array, np.memmap) for array in arrays)
    found = store.rows(np.array([0, 2005]))
    assert not isinstance(found.keypoints_px, np.memmap)
    assert found.keypoints_px.shape == (2, 4, len(H36M_16), 2)


def test_pseudo_labels_come_back_from_the_files_that_stores_have_always_had(
    tmp_path: Path,
) -> None:
    part = instants(0, 5, 3, "a", truth=False)
    random = np.random.default_rng(1)
    shape = part.confidence.shape
    labels = PseudoLabels(
        joints=random.normal(size=(*shape, 3)).astype(np.float32),
        deviation=random.uniform(size=shape).astype(np.float32),
        residual=random.normal(size=(*shape, 2)).astype(np.float32),
        up=random.normal(size=(*shape[:2], 3)).astype(np.float32),
        focal_px=random.uniform(500, 2000, shape[:2]).astype(np.float32),
    )
    write_store([replace(part, pseudo_labels=labels)], tmp_path / "store")
    camera = np.load(tmp_path / "store" / "00000-placed_camera.npy")
    assert np.array_equal(camera[..., :3], labels.up)
    assert np.array_equal(camera[..., 3], labels.focal_px)
    store = open_store(tmp_path / "store")
    assert store.has_pseudo_labels
    order = np.array([4, 1, 1])
    found = store.rows(order).pseudo_labels
    assert found is not None
    for name in ("joints", "deviation", "residual", "up", "focal_px"):
        assert np.array_equal(getattr(found, name), getattr(labels, name)[order])


def test_a_truth_that_some_part_lacks_is_no_truth(tmp_path: Path) -> None:
    write_store([instants(0, 5, 3, "a"), instants(1, 5, 3, "b", truth=False)], tmp_path / "store")
    assert not open_store(tmp_path / "store").has_truth


def test_a_session_without_a_person_is_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nobody, alone = instants(1, 4, 3, "nobody"), instants(2, 4, 3, "alone")
    nobody.confidence[:] = 0
    alone.confidence[:, 1:] = 0
    later = instants(3, 4, 3, "nobody in the first stretch")
    first = instants(4, 4, 3, "nobody in the first stretch")
    first.confidence[:] = 0
    with caplog.at_level(logging.WARNING):
        write_store([nobody, instants(0, 5, 3, "a"), alone, first, later], tmp_path / "store")
    assert [vars(record)["session"] for record in caplog.records] == ["nobody", "alone"]
    assert open_store(tmp_path / "store").sessions == ("a", "nobody in the first stretch")
    with pytest.raises(Refusal, match="no instant was observed by two views"):
        write_store([nobody, alone], tmp_path / "store")


def test_a_session_whose_truth_is_not_whole_is_skipped_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    partly, nobody = instants(1, 4, 3, "partly"), instants(2, 4, 3, "nobody")
    assert partly.truth.joints_mm is not None
    partly.truth.joints_mm[:, :, 0] = np.nan
    nobody.confidence[:] = 0
    with caplog.at_level(logging.WARNING):
        write_store([partly, instants(0, 5, 3, "a"), nobody], tmp_path / "store", labelled=True)
    assert [(vars(record)["session"], record.message) for record in caplog.records] == [
        ("partly", "session skipped: its truth is not whole"),
        ("nobody", "session skipped: no instant observed by two views"),
    ]
    assert open_store(tmp_path / "store").sessions == ("a",)
