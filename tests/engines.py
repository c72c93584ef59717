"""Engines for tests: the shipped lifter under other names."""

import shutil
from pathlib import Path

from cvsf.engine import SHIPPED
from cvsf.manifest import read_manifest


def renamed(folder: Path, id: str, created: str | None = None) -> Path:
    """A copy of the shipped engine that carries another name."""
    shutil.copytree(SHIPPED, folder)
    manifest = read_manifest(SHIPPED)
    changes = {"id": id, "created": created or manifest.created, "parent": manifest.id}
    manifest.model_copy(update=changes).write(folder)
    return folder
