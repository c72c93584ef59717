"""Invalid engines for benches and tests: the shipped one, with one fault each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import GOLDEN, LIFTER, MANIFEST, read_manifest, sha256_of


def copy_with_id(folder: Path, id: str | None) -> Path:
    """Copy the shipped engine to `folder`, under another id; returns `folder`.

    The folder must not exist (FileExistsError). The id is that of the folder's name if `id` is
    None; the shipped engine is its parent.
    """
    shutil.copytree(SHIPPED, folder)
    manifest = read_manifest(SHIPPED)
    changes = {"id": id or folder.name, "parent": manifest.id}
    manifest.model_copy(update=changes).write(folder)
    return folder


def put_live(models: Path, id: str) -> None:
    """Set the link `models/live` to the engine `id` by hand, without the checks of a promotion.

    The history is not written, and the engine may be missing.
    """
    fresh = models / ".live.by-hand"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(id)
    fresh.replace(models / "live")


def _rewrite(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(card | changes))


def _corrupt(folder: Path) -> None:
    """A graph cut off in the middle, with a matching hash in the manifest."""
    content = (folder / LIFTER).read_bytes()
    (folder / LIFTER).write_bytes(content[: len(content) // 2])
    _rewrite(folder, sha256=sha256_of(folder / LIFTER))


def _other_golden(folder: Path) -> None:
    with np.load(folder / GOLDEN, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["fused"] = arrays["fused"] + 0.01
    np.savez(folder / GOLDEN, allow_pickle=False, **arrays)
    _rewrite(folder, golden_sha256=sha256_of(folder / GOLDEN))


SPOILT: dict[str, Callable[[Path], None]] = {
    "corrupted onnx": _corrupt,
    "wrong joint set": lambda folder: _rewrite(folder, joint_set="coco-17"),
    "wrong sha256": lambda folder: _rewrite(folder, sha256="0" * 64),
    "wrong golden vectors": _other_golden,
}
