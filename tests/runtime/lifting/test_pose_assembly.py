"""The people of an instant's views as one pose: every camera keeps its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from cvsf.skeleton import COCO_17, H36M_16, JointSet
from runtime.detection.bundle import MANIFEST, SHIPPED, load_bundle
from runtime.detection.detector import Detector, Person
from runtime.lifting.pose_assembly import join
from tests.support.graphs import MADE
from tests.support.material import make_frame, make_instant

CAMERAS = ("cam0", "cam1", "cam2")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    data: Path = tmp_path_factory.mktemp("data")
    return Detector(load_bundle("sim-skier", data, offline=True))


def coco_detector(folder: Path) -> Detector:
    """Generated networks of the layouts of a shipped bundle, which finds COCO's joints."""
    manifest = json.loads((SHIPPED / "yolox-movenet" / MANIFEST).read_text())
    manifest["verified"] = False
    for role in ("detector", "pose"):
        network = manifest[role]
        network |= {"sha256": None, "bytes": None}
        MADE[network["decoding"]](folder / network["file"], network, len(COCO_17))
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return Detector(load_bundle(str(folder), folder / "data", offline=True))


def person(joints: JointSet, first_px: float) -> Person:
    """Joint i is at (first + i, 2 (first + i)), ever less sure."""
    along = first_px + np.arange(len(joints), dtype=np.float32)
    return Person(
        keypoints_px=np.stack([along, 2 * along], 1),
        confidence=np.linspace(1, 0.1, len(joints), dtype=np.float32),
        box_px=np.zeros(4, np.float32),
    )


def test_views_are_in_the_order_of_the_cameras_whoever_was_found_first(detector: Detector) -> None:
    frames = {c: make_frame(c, width_px=100 * (v + 1)) for v, c in enumerate(CAMERAS)}
    people = {"cam2": person(H36M_16, 200), "cam0": person(H36M_16, 0)}
    instant = make_instant(5, CAMERAS)
    pose = join(instant, CAMERAS, people, frames, detector)
    assert (pose.instant, pose.t_ns, pose.cameras) == (5, instant.t_ns, CAMERAS)
    assert pose.detector == detector.name
    assert np.array_equal(pose.keypoints_px[0], people["cam0"].keypoints_px)
    assert np.array_equal(pose.keypoints_px[2], people["cam2"].keypoints_px)
    assert pose.image_px.tolist() == [[100, 480], [200, 480], [300, 480]]


def test_a_view_without_a_picture_or_a_person_has_confidence_0_and_keeps_its_place(
    detector: Detector,
) -> None:
    people = {"cam2": person(H36M_16, 0)}
    pose = join(make_instant(0, CAMERAS), CAMERAS, people, {"cam1": make_frame("cam1")}, detector)
    assert pose.confidence.any(1).tolist() == [False, False, True]
    assert pose.image_px.any(1).tolist() == [False, True, False]
    nobody = join(make_instant(0, CAMERAS), CAMERAS, {}, {}, detector)
    assert not nobody.confidence.any()
    assert nobody.keypoints_px.shape == (3, len(H36M_16), 2)


def test_joints_of_another_set_are_put_where_the_lifter_looks_for_them(tmp_path: Path) -> None:
    """Of COCO, whose hips' midpoint is the lifter's root, as sure as the less sure of them."""
    detector, found = coco_detector(tmp_path), person(COCO_17, 10)
    pose = join(make_instant(0, ("cam0",)), ("cam0",), {"cam0": found}, {}, detector)
    for joint in ("lknee", "rwrist"):
        at = H36M_16.index(joint)
        assert np.array_equal(pose.keypoints_px[0, at], found.keypoints_px[COCO_17.index(joint)])
    hips = [COCO_17.index(side + "hip") for side in "lr"]
    root = H36M_16.index("hip")
    assert pose.keypoints_px[0, root] == pytest.approx(found.keypoints_px[hips].mean(0))
    assert pose.confidence[0, root] == found.confidence[hips].min()
    assert pose.confidence[0, H36M_16.index("head")] == 0  # a set without a crown


def test_confidence_is_held_between_0_and_1(detector: Detector) -> None:
    sure = person(H36M_16, 0)
    sure.confidence[:2] = (1.7, -0.2)
    pose = join(make_instant(0, ("cam0",)), ("cam0",), {"cam0": sure}, {}, detector)
    assert pose.confidence[0, :2].tolist() == [1.0, 0.0]
