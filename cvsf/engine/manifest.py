"""The manifest of an engine: its tensors, its training data and its scores.

Before the network runs, the file is checked by its sha256 and the joint set by its name.
"""

import hashlib
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvsf.shapes import Array
from cvsf.skeleton import JOINT_SETS
from cvsf.system.errors import Refusal

MANIFEST = "manifest.json"
LIFTER = "lifter.onnx"
LIFTER_FP16 = "lifter_fp16.onnx"
GOLDEN = "golden.npz"

Precision = Literal["fp32", "fp16"]
"""Of the wide layers; inputs and outputs are float32 in both."""
FILES: dict[Precision, str] = {"fp32": LIFTER, "fp16": LIFTER_FP16}


class Difference(BaseModel):
    """Difference of a graph's outputs to those of torch in float32: a measurement or a limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    relative: float  # ||a - b|| / ||b|| over all probe inputs, the largest of any output
    n_mpjpe_mm: float  # mean over the poses of an instant, the largest of any instant; on an adult


LIMITS: dict[Precision, Difference] = {
    "fp32": Difference(relative=1e-5, n_mpjpe_mm=0.1),
    "fp16": Difference(relative=2e-3, n_mpjpe_mm=0.5),
}
"""An engine above them is not written; measured differences are in docs/engines.md."""
GOLDEN_LIMITS: dict[Precision, float] = {"fp32": 1e-4, "fp16": 4e-3}
"""Relative; an engine above them is not used. Larger than `LIMITS`, as another processor rounds in
another order; the factors are guesses, not measured.
"""

_SHA256 = "^[0-9a-f]{64}$"
_BESIDE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # a file of the engine's own folder


class TensorCard(BaseModel):
    """One input or output of the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    axes: tuple[str, ...]
    dtype: str = "float32"
    meaning: str


class Manifest(BaseModel):
    """The manifest of an engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1, 2] = 2  # 1 had float32 only
    id: str
    created: str  # UTC, ISO 8601
    git_sha: str | None = None
    variant: str
    joint_set: str
    max_views: int = Field(gt=0)
    morph: bool = False  # the graph maps a detector's keypoints to the lifter's convention
    inputs: tuple[TensorCard, ...]
    outputs: tuple[TensorCard, ...]
    opset: int
    sha256: str = Field(pattern=_SHA256)  # of the ONNX file
    sha256_fp16: str | None = Field(default=None, pattern=_SHA256)  # of the one in mixed precision
    parity: float  # largest difference to torch at compile time, relative
    differences: dict[Precision, Difference] = {}  # the same and in millimetres, by precision
    golden: str | None = Field(
        default=None, pattern=_BESIDE
    )  # file of golden inputs and torch's outputs for them
    golden_sha256: str | None = Field(default=None, pattern=_SHA256)
    scores: dict[str, dict[str, float]] = {}  # {split: {metric: value}}
    sessions: tuple[str, ...] = ()  # what it was trained on
    parent: str | None = None  # engine it was trained from
    credit: str = ""

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """The precisions for which the engine has an ONNX file: `fp32`, perhaps `fp16`."""
        return ("fp32",) if self.sha256_fp16 is None else ("fp32", "fp16")

    def write(self, folder: Path) -> None:
        """Write `manifest.json` into the engine's folder, over an older one; the folder must exist.
        OSError if the disk fails.
        """
        (folder / MANIFEST).write_text(self.model_dump_json(indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an engine folder; its values are checked, the engine's other files are not
    read. Refusal if it is missing, malformed, or names an unknown joint set.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise Refusal(f"{folder} has no {MANIFEST}; expected a folder written by `cvsf compile`")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Refusal(
            f"{path} is not an engine's manifest ({where}: {first['msg']}); "
            "compile the engine again"
        ) from error
    if manifest.joint_set not in JOINT_SETS:
        raise Refusal(
            f"{path} names joint set {manifest.joint_set!r}, "
            f"expected one of {', '.join(JOINT_SETS)}"
        )
    return manifest


def verified_file(folder: Path, manifest: Manifest, precision: Precision = "fp32") -> Path:
    """The path of the engine's ONNX file in that precision. The whole file is read: Refusal if it
    is missing, if its sha256 is not that of the manifest, or if the engine has none in that
    precision.
    """
    wanted = manifest.sha256 if precision == "fp32" else manifest.sha256_fp16
    if wanted is None:
        raise Refusal(f"the engine in {folder} has no graph in {precision}; compile it again")
    return _verified(folder, FILES[precision], wanted)


def read_golden(folder: Path, manifest: Manifest) -> dict[str, Array] | None:
    """Golden inputs and outputs by tensor name, as float32; None if the manifest names no file.
    Refusal if the file cannot be read, or if its sha256 is not that of the manifest; where this has
    none, it is not checked.
    """
    if manifest.golden is None:
        return None
    path = folder / manifest.golden
    if manifest.golden_sha256 is not None:
        path = _verified(folder, manifest.golden, manifest.golden_sha256)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name].astype(np.float32) for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise Refusal(
            f"{path} holds no golden vectors ({error}); compile the engine again"
        ) from error


def _verified(folder: Path, name: str, wanted: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise Refusal(f"{folder} has no {name}; compile the engine again")
    found = sha256_of(path)
    if found != wanted:
        raise Refusal(
            f"{path} has sha256 {found[:12]}, its manifest has {wanted[:12]}; "
            "the file was changed or damaged, compile the engine again"
        )
    return path


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal. OSError if it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
