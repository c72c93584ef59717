"""Messages and their bytes: what goes in comes out, and nothing else gets in."""

from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvsf.messages import (
    Instant,
    MultiviewPose,
    Skeleton,
    from_header,
    pack,
    to_header,
    unpack,
)
from cvsf.skeleton import COCO_17, H36M_16, remap


def pose(views: int = 3) -> MultiviewPose:
    rng = np.random.default_rng(views)
    return MultiviewPose(
        t_ns=5,
        instant=7,
        cameras=tuple(f"cam{v}" for v in range(views)),
        image_px=np.full((views, 2), 640, np.float32),
        keypoints_px=rng.normal(size=(views, len(H36M_16), 2)).astype(np.float32),
        confidence=rng.random((views, len(H36M_16))).astype(np.float32),
    )


def skeleton() -> Skeleton:
    return Skeleton(
        t_ns=5,
        uncertainty_ns=1,
        instant=7,
        engine="lifter-1",
        joints=np.ones((len(H36M_16), 3), np.float32),
        confidence=np.ones(len(H36M_16), np.float32),
        views=("cam0", "cam1"),
        measured=True,
    )


def test_a_pose_packed_to_bytes_is_unpacked_bit_by_bit() -> None:
    sent = pose(16)
    got = from_header(MultiviewPose, unpack(pack(to_header(sent)), trusted=True))
    assert got.cameras == sent.cameras
    np.testing.assert_array_equal(got.keypoints_px, sent.keypoints_px)
    np.testing.assert_array_equal(got.confidence, sent.confidence)


def test_a_skeleton_and_an_instant_packed_to_bytes_are_unpacked_unchanged() -> None:
    got = from_header(Skeleton, unpack(pack(to_header(skeleton())), trusted=True))
    assert (got.engine, got.views, got.measured) == ("lifter-1", ("cam0", "cam1"), True)
    sent = Instant(index=1, t_ns=2, frames={"cam0": ("b", 3)}, expected=("cam0",), spread_ns=0)
    assert from_header(Instant, unpack(pack(to_header(sent)), trusted=True)) == sent


def test_an_unknown_field_of_a_message_is_ignored() -> None:
    header = to_header(skeleton()) | {"mood": "good"}
    assert from_header(Skeleton, header).engine == "lifter-1"


def test_a_message_of_another_schema_is_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match="schema is 2, expected 1"):
        from_header(Skeleton, to_header(skeleton()) | {"schema": 2})


def test_a_pose_with_a_missing_joint_is_refused() -> None:
    header = to_header(pose())
    header["confidence"] = header["confidence"][:, 1:]
    with pytest.raises(ValueError, match="confidence is"):
        from_header(MultiviewPose, header)


def test_a_pose_is_read_in_another_joint_set_and_is_itself_in_its_own() -> None:
    own = pose()
    assert own.in_joint_set(H36M_16) is own
    other = own.in_joint_set(COCO_17)
    keypoints, confidence = remap(own.keypoints_px, own.confidence, H36M_16.joints, COCO_17.joints)
    assert (other.joint_set, other.t_ns, other.cameras) == ("coco-17", own.t_ns, own.cameras)
    assert np.array_equal(other.keypoints_px, keypoints)
    assert np.array_equal(other.confidence, confidence)


def test_a_pose_that_is_not_finite_is_refused() -> None:
    header = to_header(pose())
    header["keypoints_px"] = np.full_like(header["keypoints_px"], np.nan)
    with pytest.raises(ValueError, match="not finite"):
        from_header(MultiviewPose, header)


@given(st.binary(max_size=300))
def test_random_bytes_are_unpacked_to_a_map_or_refused(data: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(unpack(data), dict)


@pytest.mark.parametrize(
    "data",
    [
        msgpack.packb([{}] * 1000),
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x91" * 4000,
        msgpack.packb({1: 2}),
        msgpack.packb({"a": msgpack.ExtType(5, b"")}),
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb([[1 << 40], b""]))}),
        bytes(5000),
    ],
)
def test_a_header_that_claims_huge_or_nested_data_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"header|array"):
        unpack(data)
