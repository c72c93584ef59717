"""What clients are told, as JSON and picture messages."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from cvsf.skeleton import H36M_16
from runtime.streaming.json_codec import about, jsonable, picture, skeleton_json, to_json
from tests.support.material import make_frame, make_pose, make_skeleton


def test_what_is_not_finite_is_null_and_arrays_are_lists_of_five_decimals() -> None:
    told: dict[Any, Any] = {
        "a": np.array([[1 / 3, np.nan]], np.float32),
        "b": np.array([1, 2]),
        "c": (np.float32(0.5), float("inf"), np.int64(7)),
        3: {"d": np.array([2 / 3])},
        "e": np.bool_(True),
    }
    assert jsonable(told) == {
        "a": [[pytest.approx(1 / 3), None]],
        "b": [1, 2],
        "c": [0.5, None, 7],
        "3": {"d": [0.66667]},
        "e": True,
    }
    assert json.loads(to_json(told))["c"] == [0.5, None, 7]
    assert to_json({"x": 1, "y": [2]}) == '{"x":1,"y":[2]}'


def test_a_skeleton_as_json_has_its_fields_and_its_joints_to_five_decimals() -> None:
    skeleton = make_skeleton(5)
    said = json.loads(skeleton_json(skeleton))
    assert (said["kind"], said["instant"], said["t_ns"]) == ("skeleton", 5, skeleton.t_ns)
    assert said["views"] == ["cam0", "cam1"]
    np.testing.assert_allclose(said["joints"], skeleton.joints, atol=6e-6)


def test_a_picture_is_a_length_a_header_and_the_cameras_own_bytes() -> None:
    frame, pose = make_frame("cam1", 4, b"\xff\xd8 as it came"), make_pose(4)
    message = picture(frame, 9, pose)
    (length,) = struct.unpack("<I", message[:4])
    header = json.loads(message[4 : 4 + length])
    assert message[4 + length :] == frame.jpeg
    assert (header["camera"], header["instant"], header["t_ns"]) == ("cam1", 9, frame.t_ns)
    np.testing.assert_allclose(header["keypoints_px"], pose.keypoints_px[1], atol=0.051)
    np.testing.assert_allclose(header["confidence"], pose.confidence[1], atol=0.00051)


def test_a_picture_of_a_camera_without_a_pose_has_no_keypoints() -> None:
    message = picture(make_frame("cam7"), 0, make_pose(0))
    header = json.loads(message[4 : 4 + struct.unpack("<I", message[:4])[0]])
    assert "keypoints_px" not in header
    assert header["joint_set"] == "h36m-16"


def test_about_names_joints_bones_cameras_and_both_frames() -> None:
    told = about(H36M_16, ["cam0"], "lifter-1", detector="d", world={"number": 2})
    assert told["joints"] == list(H36M_16.joints)
    assert told["bones"] == [list(bone) for bone in H36M_16.bones]
    assert (told["cameras"], told["engine"], told["detector"]) == (["cam0"], "lifter-1", "d")
    assert set(told["axes"]) == {"canonical", "world"}
    assert told["world"] == {"number": 2}
