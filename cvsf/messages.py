"""Messages between processes and in sessions: frames, poses, skeletons, and their encoding (schema
1).

A field may be added with a default; none is renamed, removed or given another unit, so that old
sessions can be read. Nothing is unpickled. As messages come from untrusted bytes, `__post_init__`
checks them, and the annotations do not (`no_type_check`).
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, TypeVar, no_type_check

import msgpack
import numpy as np

from cvsf.shapes import Array, Float
from cvsf.skeleton import JointSet, joint_set, remap

SCHEMA = 1
MAX_HEADER_BYTES = 4096  # a guess, not measured
MAX_VIEWS = 16
"""Cameras of a hub, views of a multi-view file and of a compiled engine; more are refused."""
_ARRAY_EXT = 1

Message = TypeVar("Message", "Frame", "Instant", "MultiviewPose", "Skeleton")


@no_type_check
@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One picture of one camera, as it is sent and recorded."""

    kind: ClassVar[str] = "frame"

    camera: str
    boot_id: str  # run of the node; seq begins at 0 in each run
    seq: int  # exposure number; a gap is a frame that was not sent
    t_ns: int  # middle of the exposure, hub clock
    raw_ns: int  # the same moment on the clock of its source
    offset_ns: int  # hub clock minus clock of raw_ns
    uncertainty_ns: int  # half width of the error of t_ns
    sync_epoch: int  # grows when a step of the node's clock is detected
    stamp: str  # how raw_ns was obtained: sensor, kernel, rtcp, media, simulated, arrival
    width_px: int
    height_px: int
    crc32: int  # of the JPEG, computed by the node
    trigger: int | None = None  # number of the common trigger, where the source has one
    jpeg: bytes = b""

    def __post_init__(self) -> None:
        for name in ("seq", "uncertainty_ns", "width_px", "height_px", "crc32"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} is {value!r}, expected a whole number >= 0")
        for name in ("t_ns", "raw_ns", "offset_ns", "sync_epoch"):
            if type(getattr(self, name)) is not int:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a whole number")
        for name in ("camera", "boot_id", "stamp"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected text")
        if self.trigger is not None and type(self.trigger) is not int:
            raise ValueError(f"trigger is {self.trigger!r}, expected a whole number or none")

    def intact(self) -> bool:
        """Whether the JPEG has the checksum (CRC-32) that the node computed; computed again at each
        call. Whether the JPEG can be decoded is not tested.
        """
        return zlib.crc32(self.jpeg) == self.crc32


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """The frames of one moment; replay forms the same instants from it."""

    kind: ClassVar[str] = "instant"

    index: int
    t_ns: int  # mean exposure of its frames, hub clock
    frames: Mapping[str, tuple[str, int]]  # camera: (boot_id, seq)
    expected: tuple[str, ...]  # live cameras
    spread_ns: int  # last exposure minus first


@no_type_check
@dataclass(frozen=True, slots=True, kw_only=True)
class MultiviewPose:
    """2D keypoints of one person at one instant: engine input, record and training sample."""

    kind: ClassVar[str] = "pose"

    t_ns: int
    instant: int
    cameras: tuple[str, ...]  # V names, in the order of axis 0
    image_px: Float[Array, "V 2"]  # width, height; 0 where the view has no picture
    keypoints_px: Float[Array, "V J 2"]  # x right, y down
    confidence: Float[Array, "V J"]  # in [0, 1]; 0 is not observed
    joint_set: str = "h36m-16"
    person_id: int = 0
    detector: str = ""  # bundle name and first 12 digits of its sha256

    def __post_init__(self) -> None:
        views, joints = len(self.cameras), len(joint_set(self.joint_set))
        _require(self.image_px, "image_px", (views, 2))
        _require(self.keypoints_px, "keypoints_px", (views, joints, 2))
        _require(self.confidence, "confidence", (views, joints))

    def in_joint_set(self, target: JointSet) -> "MultiviewPose":
        """The pose in another joint set, by `cvsf.skeleton.remap`; itself if it has that set. A
        joint that cannot be derived gets confidence 0 and lies at (0, 0) px. The pose itself stays;
        other fields are shared.
        """
        if self.joint_set == target.name:
            return self
        source = joint_set(self.joint_set).joints
        keypoints, confidence = remap(self.keypoints_px, self.confidence, source, target.joints)
        return replace(self, keypoints_px=keypoints, confidence=confidence, joint_set=target.name)


@no_type_check
@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """One 3D skeleton at one instant, with its origin."""

    kind: ClassVar[str] = "skeleton"

    t_ns: int  # exposure, hub clock
    uncertainty_ns: int  # of t_ns: the largest of its frames
    instant: int
    engine: str  # id of the lifter
    joints: Float[Array, "J 3"]  # in `frame_of_reference`; canonical has the pelvis at the origin
    confidence: Float[Array, "J"]
    views: tuple[str, ...]  # cameras that observed the person at this instant
    measured: bool  # from two or more views of this instant
    joint_set: str = "h36m-16"
    person_id: int = 0
    frame_of_reference: str = "canonical"  # or world: right-handed, z up, metres
    scale_source: str = "unit"  # unit: body scale 1; else the source of the metre
    smoothed: bool = False
    calibration: int = 0  # number of the calibration it was reconstructed with; 0: none

    def __post_init__(self) -> None:
        joints = len(joint_set(self.joint_set))
        _require(self.joints, "joints", (joints, 3))
        _require(self.confidence, "confidence", (joints,))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limits:
    """Largest sizes in an accepted header; guesses, not measured."""

    max_array: int = 64
    max_map: int = 48
    max_text: int = 256
    max_bytes: int = 1024


_WIRE_LIMITS = _Limits()
_RECORD_LIMITS = _Limits(max_array=4096, max_map=256, max_text=65536, max_bytes=1 << 20)


def pack(header: Mapping[str, Any]) -> bytes:
    """The map as msgpack; an array is an extension type of [shape, little-endian float32 bytes],
    whatever its dtype. TypeError of a value that msgpack lacks; sizes are not limited here.
    """
    return bytes(msgpack.packb(header, default=_pack_array))


def unpack(data: bytes | memoryview, *, trusted: bool = False) -> dict[str, Any]:
    """The map that `pack` wrote; ValueError for any other bytes, or keys that are not text. Arrays
    are read-only float32, and tuples come back as lists. The fields are checked by `from_header`.

    Sizes are limited: strictly (4096 bytes in all), or loosely for `trusted` bytes (a session on
    disk, the hub's own output).
    """
    limits = _RECORD_LIMITS if trusted else _WIRE_LIMITS
    if not trusted and len(data) > MAX_HEADER_BYTES:
        raise ValueError(f"header is {len(data)} bytes, expected at most {MAX_HEADER_BYTES}")
    try:
        header = msgpack.unpackb(
            data,
            strict_map_key=True,
            max_array_len=limits.max_array,
            max_map_len=limits.max_map,
            max_str_len=limits.max_text,
            max_bin_len=limits.max_bytes,
            max_ext_len=limits.max_bytes,
            ext_hook=_unpack_array,
        )
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"header is not msgpack ({error})") from error
    if not isinstance(header, dict) or not all(isinstance(key, str) for key in header):
        raise ValueError("header is not a map with text keys")
    return header


def to_header(message: "Frame | Instant | MultiviewPose | Skeleton") -> dict[str, Any]:
    """The message as a map with `schema` and `kind`, without a frame's JPEG. Arrays are not copied;
    `pack` makes bytes of it.
    """
    header = {"schema": SCHEMA, "kind": message.kind}
    header |= {f.name: getattr(message, f.name) for f in fields(message) if f.name != "jpeg"}
    return header


def from_header(kind: type[Message], header: Mapping[str, Any], jpeg: bytes = b"") -> Message:
    """The message of a map that `to_header` made; unknown fields are ignored. ValueError for
    another schema or kind, and for a missing or invalid field. `jpeg` is used for a frame only, and
    its checksum is not compared.
    """
    if header.get("schema") != SCHEMA:
        raise ValueError(f"schema is {header.get('schema')!r}, expected {SCHEMA}")
    if header.get("kind") != kind.kind:
        raise ValueError(f"kind is {header.get('kind')!r}, expected {kind.kind!r}")
    known: dict[str, Any] = {}
    for f in fields(kind):
        if f.name in header:
            value = header[f.name]
            known[f.name] = tuple(value) if isinstance(value, list) else value
    if kind is Frame:
        known["jpeg"] = jpeg
    if kind is Instant and isinstance(known.get("frames"), Mapping):
        known["frames"] = {camera: tuple(source) for camera, source in known["frames"].items()}
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"{kind.kind} is incomplete ({error})") from error


def _require(array: object, name: str, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.shape != shape:
        found = array.shape if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"{name} is {found}, expected {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")


def _pack_array(value: object) -> Any:
    if isinstance(value, np.ndarray):
        body = msgpack.packb([list(value.shape), value.astype("<f4").tobytes()])
        return msgpack.ExtType(_ARRAY_EXT, body)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be encoded")


def _unpack_array(code: int, data: bytes) -> Array:
    if code != _ARRAY_EXT:
        raise ValueError(f"extension type is {code}, expected {_ARRAY_EXT}")
    shape, body = msgpack.unpackb(data, max_array_len=8, max_bin_len=1 << 20)
    if not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"array shape is {shape!r}")
    return np.frombuffer(body, "<f4").reshape(shape)
