"""Verification of an engine: its name, bytes, joint set and golden vectors.

An engine that fails is never used: a Refusal has one sentence with what was found and expected.
"""

import re
from contextlib import suppress
from pathlib import Path

from cvsf.engine.engine import Engine, check_golden, load_engine
from cvsf.engine.manifest import Manifest, read_golden, read_manifest, verified_file
from cvsf.system.errors import Refusal

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def is_id(name: str) -> bool:
    """Whether a folder of the registry can have the name: 1 to 128 letters, digits, dots, dashes
    and underscores, with a letter or digit first; not `live`, and no end in `.jsonl`. Whether there
    is such an engine is not tested.
    """
    return bool(_ID.fullmatch(name)) and name != "live" and not name.endswith(".jsonl")


def require_id(name: str) -> str:
    """The name, unchanged; Refusal if a folder of the registry cannot have it (see `is_id`).
    Whether there is such an engine is not tested.
    """
    if not is_id(name):
        raise Refusal(
            f"{name!r} is not a name of an engine; expected letters, digits, dots, dashes and "
            "underscores, as `cvsf compile` gives"
        )
    return name


def file_stamps(*paths: Path) -> tuple[tuple[int, int, int], ...]:
    """Inode, size (bytes) and time of change (ns) of each file, in order; a missing file has no
    entry. Other errors are an OSError.
    """
    found = []
    for path in paths:
        with suppress(FileNotFoundError):
            status = path.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def read_verified(folder: Path) -> Manifest:
    """The manifest of an engine folder. The sha256 of each ONNX file and of the golden vectors is
    verified, but the engine is not run. Refusal if a file is missing, damaged or changed.
    """
    manifest = read_manifest(folder)
    for precision in manifest.precisions:
        verified_file(folder, manifest, precision)
    read_golden(folder, manifest)
    return manifest


def open_verified(folder: Path, id: str, joints: str, threads: int = 1) -> Engine:
    """The engine in a folder, loaded on ONNX Runtime; the caller closes it. `joints` is the name of
    a joint set. Refusal unless id, joint set and sha256 are the expected ones and the engine, run
    once, gives its golden vectors.
    """
    manifest = read_manifest(folder)
    if manifest.id != id:
        raise Refusal(
            f"{folder} holds the engine {manifest.id}, expected {id}; add it under its own name"
        )
    if manifest.joint_set != joints:
        raise Refusal(
            f"{folder} is for the joints {manifest.joint_set}, expected {joints}; "
            "compile an engine of that joint set"
        )
    engine = load_engine(folder, threads)
    try:
        check_golden(engine, folder)
    except Refusal:
        engine.close()
        raise
    except Exception as error:  # ONNX Runtime raises a dozen unrelated types
        engine.close()
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise Refusal(f"{folder} cannot be run ({first}); compile the engine again") from error
    return engine
