"""Model bundles: ONNX networks and the manifest on how to feed and read them, verified.

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
from runtime.detection.download import fetch, first_seen_sha256

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
    """One network: where its file comes from, what goes in and how what comes out is read."""

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
    letterbox: Literal["top-left", "centred"] = "centred"  # where a whole picture lies in the input
    pad: int = Field(default=0, ge=0, le=255)
    batch: Literal["one", "dynamic"]
    decoding: Decoding
    min_confidence: float = Field(gt=0, lt=1)  # of a box, or of a pose as the mean over its joints
    full_confidence: float = Field(default=1.0, gt=0)  # the network's figure that means certain
    crop_margin: float = Field(default=1.25, ge=1)  # pose network: crop over person box

    @property
    def channels(self) -> int:
        """1 or 3."""
        return 1 if self.colour == "GREY" else 3

    @property
    def is_raw(self) -> bool:
        """Whether pixel values go in as they are."""
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
    """A bundle: its networks, the joints they find, and what is known about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    kind: Literal["whole frame", "person box then crop"]
    joint_set: str
    detector: NetworkManifest | None = None  # finds boxes; none in a whole-frame bundle
    pose: NetworkManifest
    detect_every: int = Field(default=10, ge=1)  # instants between looks at the whole picture
    beyond_joints: float = Field(default=0, ge=0, le=1)  # body around the joints, per longer side
    licence: str
    source: str
    verified: bool  # ran here on real input, from files of exactly these hashes
    held_out: Mapping[str, float] = {}  # scores on material it was not made from

    @property
    def joints(self) -> JointSet:
        """The joint set its keypoints are in."""
        return joint_set(self.joint_set)

    @property
    def networks(self) -> dict[str, NetworkManifest]:
        """The networks by what they do."""
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
    """A manifest and the verified files it speaks of."""

    manifest: Manifest
    files: Mapping[str, Path]  # by what the network does
    sha256: Mapping[str, str]

    @property
    def id(self) -> str:
        """Its name and 12 digits of a hash over its files."""
        digest = hashlib.sha256("".join(self.sha256[key] for key in sorted(self.sha256)).encode())
        return f"{self.manifest.name}-{digest.hexdigest()[:12]}"


def load_bundle(name_or_folder: str, data: Path, offline: bool) -> Bundle:
    """The bundle of that name or in that folder, verified, its files fetched where they must be."""
    places = _named(data)
    folder = Path(name_or_folder).expanduser()
    if name_or_folder in places:
        place, own = places[name_or_folder], data / "bundles" / name_or_folder
        bundle = _verified(read_manifest(place / MANIFEST), [place, own], own, offline)
    elif folder.is_dir():
        bundle = _verified(_manifest_of(folder), [folder], None, offline)
    else:
        raise Refusal(
            f"bundle {name_or_folder!r} is unknown and no such folder exists; known bundles are "
            f"{', '.join(places)}, or name a folder with ONNX files and a {MANIFEST}"
        )
    if not bundle.manifest.verified:
        log.warning("bundle never ran in this project's tests", extra={"bundle": bundle.id})
    return bundle


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file; a Refusal names the first thing wrong with it."""
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
    """Where every bundle with a name lies: those shipped, and those placed in the data folder."""
    placed = sorted((data / "bundles").glob(f"*/{MANIFEST}"))
    shipped = sorted(SHIPPED.glob(f"*/{MANIFEST}"))
    return {path.parent.name: path.parent for path in [*placed, *shipped]}


def _manifest_of(folder: Path) -> Manifest:
    """The manifest in a folder, or the shipped one whose files all lie there."""
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
    """The bundle with each file found in one of the folders or fetched into its own."""
    files: dict[str, Path] = {}
    hashes: dict[str, str] = {}
    for role, network in manifest.networks.items():
        found = next((f / network.file for f in folders if (f / network.file).is_file()), None)
        if found is None:
            found = _fetched(manifest, network, own or folders[0], offline and own is not None)
        hashes[role] = _checked(manifest, network, found)
        files[role] = found
    return Bundle(manifest=manifest, files=files, sha256=hashes)


def _fetched(manifest: Manifest, network: NetworkManifest, folder: Path, offline: bool) -> Path:
    place = folder / network.file
    if network.url is None:
        raise Refusal(
            f"bundle {manifest.name} lacks {place.name}, which cannot be fetched; place it in "
            f"{folder} (it is described as: {manifest.source})"
        )
    if offline:
        raise Refusal(
            f"bundle {manifest.name} lacks {place.name} and --offline forbids to fetch it; "
            f"place it at {place} (from {network.url}{_inside(network)})"
        )
    fetch(network.url, network.member, place, f"{manifest.name}: {place.name}", manifest.licence)
    return place


def _inside(network: NetworkManifest) -> str:
    return f", member {network.member}" if network.member else ""


def _checked(manifest: Manifest, network: NetworkManifest, path: Path) -> str:
    """The file's sha256, equal to the pinned one or to the one seen when it was first fetched."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refusal(f"{path} cannot be read ({error.strerror})") from error
    pinned = network.sha256 or first_seen_sha256(path)
    if pinned is not None and found != pinned:
        origin = "its manifest says" if network.sha256 else "it had when it was first fetched"
        raise Refusal(
            f"{path} of bundle {manifest.name} has sha256 {found}, {origin} {pinned}; "
            "remove the file to fetch or place it again"
        )
    return found
