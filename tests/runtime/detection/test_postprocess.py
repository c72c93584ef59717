"""Outputs of published layouts, read: doubles removed, grids placed, peaks refined."""

import numpy as np
import pytest

from runtime.detection.bundle import MANIFEST, SHIPPED, NetworkManifest, read_manifest
from runtime.detection.postprocess import boxes, joints, people


def network(bundle: str, role: str) -> NetworkManifest:
    return read_manifest(SHIPPED / bundle / MANIFEST).networks[role]


def test_yolox_cells_of_every_stride_are_placed() -> None:
    manifest = network("yolox-movenet", "detector")
    raw = np.zeros((1, 3549, 85), np.float32)
    for row, size in ((5 * 52 + 7, 2.0), (52 * 52 + 3 * 26 + 20, 3.0), (3549 - 1, 2.5)):
        raw[0, row, :6] = [0.5, 0.25, np.log(size), np.log(size), 0.9, 0.9]
    found = boxes([raw], manifest)[0]
    middles = sorted(((found[:, :2] + found[:, 2:4]) / 2).round(3).tolist())
    assert middles == [[60, 42], [328, 52], [400, 392]]
    assert sorted((found[:, 2] - found[:, 0]).round(3).tolist()) == [16, 48, 80]
    assert found[:, 4] == pytest.approx(0.81)


def test_a_double_is_dropped_and_a_neighbour_is_kept() -> None:
    manifest = network("rtmpose-m", "detector")
    dets = np.array(
        [[[10, 10, 110, 210, 0.7], [12, 8, 112, 214, 0.9], [70, 10, 170, 210, 0.6]]], np.float32
    )
    found = boxes([dets, np.zeros((1, 3), np.int64)], manifest)[0]
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.6])


def test_of_equally_confident_doubles_the_first_is_kept_and_no_boxes_give_none() -> None:
    manifest = network("rtmpose-m", "detector")
    dets = np.array(
        [[[12, 8, 112, 214, 0.7], [200, 0, 300, 99, 0.7], [10, 10, 110, 210, 0.7]]], np.float32
    )
    found = boxes([dets, np.zeros((1, 3), np.int64)], manifest)[0]
    assert found[:, 0].tolist() == [12, 200]
    assert boxes([dets[:, :0], np.zeros((1, 0), np.int64)], manifest)[0].shape == (0, 5)


def test_boxes_are_suppressed_greedily_above_an_overlap_of_0_45() -> None:
    """Compared with the definition, on crowded boxes with many ties."""
    manifest = network("rtmpose-m", "detector")
    random = np.random.default_rng(0)
    for count in range(40):
        corner, size = random.uniform(0, 400, (count, 2)), random.uniform(9, 200, (count, 2))
        confidence = random.uniform(0.35, 1, (count, 1)).round(1)
        dets = np.concatenate([corner, corner + size, confidence], 1).astype(np.float32)
        wanted: list[list[float]] = []
        for one in dets[np.argsort(-dets[:, 4], kind="stable")].astype(np.float64):
            low, high = np.maximum(one[:2], [w[:2] for w in wanted] or [[9e9, 9e9]]), one[2:4]
            high = np.minimum(high, [w[2:4] for w in wanted] or [[0.0, 0.0]])
            shared = np.clip(high - low, 0, None).prod(1)
            areas = [(w[2] - w[0]) * (w[3] - w[1]) for w in wanted] or [1.0]
            if (shared / ((one[2:4] - one[:2]).prod() + areas - shared) <= 0.45).all():
                wanted.append(one.tolist())
        found = boxes([dets[None], np.zeros((1, count), np.int64)], manifest)[0]
        assert found.tolist() == wanted[:32]


def test_boxes_that_are_no_boxes_are_dropped() -> None:
    manifest = network("rtmpose-m", "detector")
    dets = np.array(
        [[[50, 10, 40, 90, 0.9], [0, 0, np.nan, 9, 0.9], [0, 0, 9, 9, 0.1], [1, 1, 9, 9, 0.9]]],
        np.float32,
    )
    labels = np.array([[0, 0, 0, 3]], np.int64)
    assert boxes([dets, labels], manifest)[0].shape == (0, 5)


def test_simcc_is_half_a_pixel_fine_and_as_sure_as_its_less_sure_axis() -> None:
    manifest = network("rtmpose-m", "pose")
    across, down = np.zeros((2, 17, 384), np.float32), np.zeros((2, 17, 512), np.float32)
    across[1, 3, 101], down[1, 3, 200] = 0.9, 0.4
    places, confidence = joints([across, down], manifest)
    assert places[1, 3].tolist() == [51.0, 100.5]
    assert confidence[1, 3] == pytest.approx(0.4)
    assert confidence[0].max() == 0


def test_a_gaussian_between_cells_is_found_there() -> None:
    manifest = network("sim-skier", "pose").model_copy(update={"full_confidence": 1.0})
    truth = np.random.default_rng(0).uniform(20, 108, (3, 16, 2))
    cells = np.arange(32) * 4 + 2.0
    across = np.exp(-((cells - truth[..., :1]) ** 2) / 72)
    down = np.exp(-((cells - truth[..., 1:]) ** 2) / 72)
    heat = (0.8 * down[..., :, None] * across[..., None, :]).astype(np.float32)
    places, confidence = joints([heat], manifest)
    assert np.abs(places - truth).max() < 0.8  # of an input whose cells are 4 wide
    assert confidence.min() > 0.7
    assert confidence.max() <= 0.8


def test_a_peak_at_the_border_stays_in_the_input() -> None:
    heat = np.zeros((1, 16, 32, 32), np.float32)
    heat[:, :, 0, 31] = 1
    places, _ = joints([heat], network("sim-skier", "pose"))
    assert np.allclose(places, [126, 2])


def test_two_people_are_two_peaks_of_a_centre_map() -> None:
    manifest = network("sim-skier", "detector")
    centre = np.full((1, 1, 15, 20), 0.01, np.float32)
    centre[0, 0, 7, 4], centre[0, 0, 7, 15] = 0.6, 0.9
    size = np.full((1, 2, 15, 20), 0.2, np.float32)
    size[0, 1] = 0.5
    found = boxes([centre, size], manifest)[0]
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.6])
    assert np.allclose(found[:, 2:4] - found[:, :2], [32, 60])
    assert np.allclose((found[:, :2] + found[:, 2:4]) / 2, [[124, 60], [36, 60]], atol=1)


def test_whole_frame_people_keep_their_own_joints() -> None:
    manifest = network("rtmo-s", "pose")
    dets = np.array([[[0, 0, 50, 90, 0.5], [200, 0, 250, 90, 0.9], [1, 1, 2, 2, 0.05]]], np.float32)
    keypoints = np.zeros((1, 3, 17, 3), np.float32)
    keypoints[0, :, :, 0] = [[25], [225], [1]]
    keypoints[0, :, :, 2] = 1.3
    found, places, confidence = people([dets, keypoints], manifest)[0]
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.5])
    assert places[:, 0, 0].tolist() == [225.5, 25.5]
    assert confidence.max() == 1
