"""Whether an engine is what it says it is: its name, bytes, joints and golden vectors.

What fails is never served: a Refusal says in one sentence what was found and what was expected.
"""

import re
from pathlib import Path

import numpy as np

from cvsf.engine import Engine, load_engine
from cvsf.manifest import read_golden, read_manifest
from cvsf.refusal import Refusal

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_GOLDEN_LIMIT = 1e-4


def is_id(name: str) -> bool:
    """Whether a folder of the registry can have the name."""
    return bool(_ID.fullmatch(name)) and name != "live" and not name.endswith(".jsonl")


def require_id(name: str) -> str:
    """The name, if a folder of the registry can have it."""
    if not is_id(name):
        raise Refusal(
            f"{name!r} is no name of an engine; expected letters, digits, dots, dashes and "
            "underscores, as `cvsf compile` gives"
        )
    return name


def check_whole(folder: Path, id: str, joints: str) -> None:
    """Return once the engine of that name has its bytes, its joints and its golden vectors."""
    manifest = read_manifest(folder)
    if manifest.id != id:
        raise Refusal(
            f"{folder} holds the engine {manifest.id}, expected {id}; take it in under its own name"
        )
    if manifest.joint_set != joints:
        raise Refusal(
            f"{folder} speaks of the joints {manifest.joint_set}, expected {joints}; "
            "compile an engine of that joint set"
        )
    try:
        check_golden(load_engine(folder), folder)
    except Refusal:
        raise
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types of its own
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refusal(f"{folder} cannot be run ({first}); compile the engine again") from error


def check_golden(engine: Engine, folder: Path) -> float:
    """Largest difference to the golden outputs, relative to each output's size."""
    golden = read_golden(folder, engine.manifest)
    if golden is None:
        raise Refusal(f"{folder} has no golden vectors; compile the engine again")
    found = engine.lift_many(**{card.name: golden[card.name] for card in engine.manifest.inputs})
    apart = [
        np.abs(array - golden[name]).max() / max(np.abs(golden[name]).max(), 1e-9)
        for name, array in found.items()
    ]
    worst = float(np.max(apart))  # NaN where any is
    if not worst <= _GOLDEN_LIMIT:
        raise Refusal(
            f"{folder} gives other outputs than its golden vectors ({worst:.1e} relative), "
            f"expected at most {_GOLDEN_LIMIT:.0e}; compile the engine again"
        )
    return worst
