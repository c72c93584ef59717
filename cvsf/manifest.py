"""The card beside every engine: which tensors it takes and gives, what it was trained on and how
good it is.

What a network says about itself is checked before it runs: the file by its sha256, the joint set by
its name.
"""

import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvsf.refusal import Refusal
from cvsf.skeleton import JOINT_SETS

MANIFEST = "manifest.json"
LIFTER = "lifter.onnx"
GOLDEN = "golden.npz"


class TensorCard(BaseModel):
    """One input or output of the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    axes: tuple[str, ...]
    dtype: str = "float32"
    meaning: str


class Manifest(BaseModel):
    """The card itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str
    created: str  # UTC, ISO 8601
    git_sha: str | None = None
    variant: str
    joint_set: str
    max_views: int = Field(gt=0)
    morph: bool = False  # a detector's own joints are brought to the lifter's convention inside
    inputs: tuple[TensorCard, ...]
    outputs: tuple[TensorCard, ...]
    opset: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")  # of the ONNX file
    parity: float  # largest difference to torch at compile time, relative
    golden: str | None = None  # file of golden inputs and outputs
    scores: dict[str, dict[str, float]] = {}  # {split: {metric: value}}
    sessions: tuple[str, ...] = ()  # what it was trained on
    parent: str | None = None  # engine it was trained from
    credit: str = ""

    def write(self, folder: Path) -> None:
        """As JSON beside the engine."""
        (folder / MANIFEST).write_text(self.model_dump_json(indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The checked card of an engine folder; Refusal says what is wrong with it."""
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


def verified_file(folder: Path, manifest: Manifest) -> Path:
    """The engine's ONNX file, whose bytes are the ones the manifest was written for."""
    path = folder / LIFTER
    if not path.is_file():
        raise Refusal(f"{folder} has no {LIFTER}; compile the engine again")
    found = sha256_of(path)
    if found != manifest.sha256:
        raise Refusal(
            f"{path} has sha256 {found[:12]}, its manifest says {manifest.sha256[:12]}; "
            "the file was changed or damaged, compile the engine again"
        )
    return path


def read_golden(folder: Path, manifest: Manifest) -> dict[str, npt.NDArray[np.float32]] | None:
    """Golden inputs and outputs by tensor name, where the engine has them."""
    if manifest.golden is None:
        return None
    with np.load(folder / manifest.golden, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def sha256_of(path: Path) -> str:
    """Hexadecimal digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
