"""Bundles: the ONNX networks of a detector and their manifest, verified by hashes.

An unknown hash is null, and the bundle is reported as unverified; a known one is always checked.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import cvsf
from cvsf.skeleton import JOINT_SETS, JointSet, joint_set
from cvsf.system.errors import Refusal
from runtime.detection.download import downloaded_sha256, fetch

log = logging.getLogger(__name__)

SHIPPED = Path(cvsf.__file__).parent / "shipped" / "bundles"
SIMULATED = "sim-skier"
"""The bundle for the rendered skier of `sim`."""
DEFAULT = "rtmpose-m"
"""The bundle for real cameras when none is named."""
MANIFEST = "manifest.json"

Decoding = Literal["yolox", "rtmdet", "centre-map", "movenet", "simcc", "heatmap", "rtmo"]
_BOXES: tuple[Decoding, ...] = ("yolox", "rtmdet", "centre-map")
_WHOLE: tuple[Decoding, ...] = ("rtmo",)


class NetworkManifest(BaseModel):
    """One network: the origin of its file, its input, and the decoding of its outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^[\w.-]+\.onnx$")
    url: str | None = None  # the file, or a zip archive that holds it
    member: str | None = None  # its name inside the archive
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # of the ONNX file
    bytes: int | None = Field(default=None, gt=0)  # of the ONNX file
    input: str
    outputs: tuple[str, ...]  # in the order the decoding reads them
    layout: Literal["NCHW", "NHWC"]
    size_px: tuple[int, int]  # width, height
    colour: Literal["RGB", "BGR", "GREY"]
    dtype: Literal["float32", "uint8"]
    mean: tuple[float, ...] = (0.0,)  # per channel in the input's order, of values 0..255
    std: tuple[float, ...] = (1.0,)
    letterbox: Literal["top-left", "centred"] = (
        "centred"  # position of a whole picture in the input
    )
    pad: int = Field(default=0, ge=0, le=255)
    batch: Literal["one", "dynamic"]
    decoding: Decoding
    min_confidence: float = Field(gt=0, lt=1)  # of a box, or of a pose as the mean over its joints
    full_confidence: float = Field(
        default=1.0, gt=0
    )  # the network's value that becomes confidence 1
    crop_margin: float = Field(default=1.25, ge=1)  # pose network: crop over person box

    @property
    def channels(self) -> int:
        """How many colour channels the network's input has: 1 for grey, else 3."""
        return 1 if self.colour == "GREY" else 3

    @property
    def is_raw(self) -> bool:
        """Whether the network takes pixel values of 0 to 255 as they are: mean 0 and std 1."""
        return not any(self.mean) and set(self.std) == {1.0}

    @model_validator(mode="after")
    def _fits(self) -> "NetworkManifest":
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name} has {len(values)} values, expected 1 or {self.channels}")
        if min(self.size_px) < 1 or not all(self.std):
            raise ValueError("size_px and std must not be zero")
        if self.dtype == "uint8" and not self.is_raw:
            raise ValueError("a uint8 input takes no mean and std")
        return self


class Manifest(BaseModel):
    """A bundle: its networks, its joint set and its origin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Literal["whole frame", "person box then crop"]
    joint_set: str
    detector: NetworkManifest | None = None  # finds boxes; none in a whole-frame bundle
    pose: NetworkManifest
    detect_every: int = Field(default=10, ge=1)  # instants between searches of the whole picture
    beyond_joints: float = Field(
        default=0, ge=0, le=1
    )  # margin of a body around its joints, over their longer side
    licence: str
    source: str
    verified: bool  # tested in this project with real input, with these hashes
    held_out: Mapping[str, float] = {}  # scores on pictures that were kept back

    @property
    def joints(self) -> JointSet:
        """The joint set of the bundle's keypoints."""
        return joint_set(self.joint_set)

    @property
    def networks(self) -> dict[str, NetworkManifest]:
        """The networks of the bundle by their role: `pose`, and `detector` unless it is
        whole-frame.
        """
        return (
            {"detector": self.detector, "pose": self.pose} if self.detector else {"pose": self.pose}
        )

    @model_validator(mode="after")
    def _fits(self) -> "Manifest":
        joint_set(self.joint_set)
        if (self.kind == "whole frame") != (self.detector is None):
            raise ValueError(f"a bundle of the kind {self.kind!r} has the wrong networks")
        if (self.kind == "whole frame") != (self.pose.decoding in _WHOLE):
            raise ValueError(f"decoding {self.pose.decoding!r} does not fit the kind {self.kind!r}")
        if self.pose.decoding in _BOXES or (self.detector and self.detector.decoding not in _BOXES):
            raise ValueError("the detector must find boxes and the pose network joints")
        if self.verified and not all(network.sha256 for network in self.networks.values()):
            raise ValueError("verified is true, but a sha256 is missing")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A manifest and its verified files."""

    manifest: Manifest
    files: Mapping[str, Path]  # by role
    sha256: Mapping[str, str]

    @property
    def id(self) -> str:
        """The bundle's name and 12 hexadecimal digits of a hash of its files' hashes, with `-`
        between.
        """
        digest = hashlib.sha256("".join(self.sha256[key] for key in sorted(self.sha256)).encode())
        return f"{self.manifest.name}-{digest.hexdigest()[:12]}"


def load_bundle(name_or_folder: str, data: Path, offline: bool) -> Bundle:
    """The verified bundle of that name (shipped, or in the data folder), else in that folder.

    Missing files of a named bundle are downloaded into the data folder, those of a given folder
    into it; `offline` forbids both. Raises Refusal for an unknown name, and for files that are
    missing or do not have their hash. A bundle that was never tested is logged.
    """
    folders_by_name = _named(data)
    folder = Path(name_or_folder).expanduser()
    if name_or_folder in folders_by_name:
        path, own = folders_by_name[name_or_folder], data / "bundles" / name_or_folder
        bundle = _verified(read_manifest(path / MANIFEST), [path, own], own, offline)
    elif folder.is_dir():
        bundle = _verified(_manifest_of(folder), [folder], None, offline)
    else:
        raise Refusal(
            f"bundle {name_or_folder!r} is unknown and no such folder exists; known bundles are "
            f"{', '.join(folders_by_name)}, or name a folder with ONNX files and a {MANIFEST}"
        )
    if not bundle.manifest.verified:
        log.warning("bundle was never tested in this project", extra={"bundle": bundle.id})
    return bundle


def read_manifest(path: Path) -> Manifest:
    """The manifest in a JSON file, checked.

    Refusal, with the first error, if the file cannot be read, is no JSON, or has an unknown, wrong
    or missing field. Whether the networks' files exist is not tested.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the manifest"
        reason = first["msg"].removeprefix("Value error, ")
        sets = f"; joint sets are {', '.join(JOINT_SETS)}" if "joint set" in reason else ""
        raise Refusal(f"{path} is not a bundle manifest: {where}: {reason}{sets}") from error


def _named(data: Path) -> dict[str, Path]:
    """The folders of all bundles by name: shipped ones, and those in the data folder."""
    installed = sorted((data / "bundles").glob(f"*/{MANIFEST}"))
    shipped = sorted(SHIPPED.glob(f"*/{MANIFEST}"))
    return {path.parent.name: path.parent for path in [*installed, *shipped]}


def _manifest_of(folder: Path) -> Manifest:
    """The manifest in a folder, or the shipped one whose files are all in it."""
    if (folder / MANIFEST).is_file():
        return read_manifest(folder / MANIFEST)
    shipped = [read_manifest(path) for path in sorted(SHIPPED.glob(f"*/{MANIFEST}"))]
    wanted = {m.name: [network.file for network in m.networks.values()] for m in shipped}
    for manifest in shipped:
        if all((folder / file).is_file() for file in wanted[manifest.name]):
            return manifest
    complete = "; ".join(f"{name}: {' + '.join(files)}" for name, files in wanted.items())
    raise Refusal(
        f"{folder} holds neither a {MANIFEST} nor all files of a known bundle ({complete})"
    )


def _verified(manifest: Manifest, folders: list[Path], own: Path | None, offline: bool) -> Bundle:
    """The bundle with files from one of the folders, or downloaded into its own."""
    files: dict[str, Path] = {}
    hashes: dict[str, str] = {}
    for role, network in manifest.networks.items():
        found = next((f / network.file for f in folders if (f / network.file).is_file()), None)
        if found is None:
            found = _fetched(manifest, network, own or folders[0], offline)
        hashes[role] = _checked(manifest, network, found)
        files[role] = found
    return Bundle(manifest=manifest, files=files, sha256=hashes)


def _fetched(manifest: Manifest, network: NetworkManifest, folder: Path, offline: bool) -> Path:
    path = folder / network.file
    if network.url is None:
        raise Refusal(
            f"bundle {manifest.name} lacks {path.name}, which has no download address; copy it to "
            f"{folder} (its source: {manifest.source})"
        )
    if offline:
        raise Refusal(
            f"bundle {manifest.name} lacks {path.name} and --offline forbids the download; "
            f"copy it to {path} (from {network.url}{_inside(network)})"
        )
    fetch(network.url, network.member, path, f"{manifest.name}: {path.name}", manifest.licence)
    return path


def _inside(network: NetworkManifest) -> str:
    return f", member {network.member}" if network.member else ""


def _checked(manifest: Manifest, network: NetworkManifest, path: Path) -> str:
    """The file's sha256, equal to the one in the manifest or of the first download."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror})") from error
    pinned = network.sha256 or downloaded_sha256(path)
    if pinned is not None and found != pinned:
        origin = "the manifest has" if network.sha256 else "the first download had"
        raise Refusal(
            f"{path} of bundle {manifest.name} has sha256 {found}, {origin} {pinned}; "
            "remove the file, then download or copy it again"
        )
    return found
