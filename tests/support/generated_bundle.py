"""A 2D bundle of generated networks, by the name of a shipped one."""

import json
from pathlib import Path

from cvsf.skeleton import joint_set
from runtime.detection.bundle import MANIFEST, SHIPPED
from tests.support.graphs import MADE


def generated(name: str, folder: Path, joints: dict[str, int] | None = None) -> Path:
    """A folder with the shipped manifest, its hashes taken off, and networks of its layouts."""
    manifest = json.loads((SHIPPED / name / MANIFEST).read_text())
    manifest["verified"] = False
    count = len(joint_set(manifest["joint_set"]))
    for role in ("detector", "pose"):
        if network := manifest.get(role):
            network |= {"sha256": None, "bytes": None}
            network["min_confidence"] = min(network["min_confidence"], 0.2)  # spots are faint
            count = (joints or {}).get(role, count)
            MADE[network["decoding"]](folder / network["file"], network, count)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder
