"""The cache of TensorRT plans: built in a separate process, kept under a key of all they depend on.

A plan runs only on the GPU and with the version it was built for, and it is executable code: one
with another key or other bytes is built again.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cvsf.engine.manifest import Precision, sha256_of
from cvsf.engine.tensorrt_api import version
from cvsf.system.errors import Refusal
from cvsf.system.processes import command

log = logging.getLogger(__name__)

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]
"""Of each input: the smallest, the usual and the largest shape."""
Range = tuple[float, float]

PLAN, CARD, TIMING, _PART = "plan", "plan.json", "timing-*.cache", ".part-"
_KEPT = 12
"""Plans kept, the last used ones; each new engine adds tens of megabytes. A guess, not measured."""
_STALE_S = 6 * 3600.0
"""Age after which an unfinished build counts as killed; a guess, not measured."""
_RECIPE = 1
"""Version of the code that builds plans; after a change all plans are built again."""


class Plans:
    """The folder of built plans; it need not exist."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(
        self,
        onnx: Path,
        precision: Precision,
        profile: Profile,
        progress: Callable[[str, float], None] | None = None,
        *,
        half_range: Range | None = None,
    ) -> Path:
        """The path of a network's plan. Without an intact one for exactly these inputs, GPU and
        versions, it is built in a child process, which blocks for seconds to minutes; a damaged one
        is removed. Refusal if TensorRT is missing or the build fails.

        `half_range`, (least, largest) of its inputs, puts a float32 network in mixed precision
        first. `progress` is called on this thread; an exception of it ends the build.
        """
        facts = plan_facts(onnx, precision, profile, half_range=half_range)
        folder = self._folder_of(facts)
        if folder.is_dir():
            try:
                plan = verified_plan(folder)
                os.utime(folder)
                return plan
            except Refusal as refusal:
                log.warning("damaged plan is built again: %s", refusal)
                shutil.rmtree(folder)
        return self._build(onnx, facts, folder, progress or _ignore)

    def is_ready(
        self, onnx: Path, precision: Precision, profile: Profile, *, half_range: Range | None = None
    ) -> bool:
        """Whether the plan of these inputs, for this GPU and these versions, is in the cache and
        has its sha256. Builds nothing. Refusal if TensorRT is not installed, OSError if the network
        cannot be read.
        """
        folder = self._folder_of(plan_facts(onnx, precision, profile, half_range=half_range))
        try:
            return folder.is_dir() and verified_plan(folder).is_file()
        except Refusal:
            return False

    def _folder_of(self, facts: dict[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{facts['onnx_sha256'][:8]}-{facts['precision']}-{digest[:16]}"

    def _build(
        self,
        onnx: Path,
        facts: dict[str, Any],
        folder: Path,
        progress: Callable[[str, float], None],
    ) -> Path:
        began = time.monotonic()
        log.info("building a plan", extra={"network": str(onnx), "backend": facts["backend"]})
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy()
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=_PART) as scratch:
            draft = Path(scratch) / "draft"
            draft.mkdir()
            options = {name: facts[name] for name in ("precision", "profile", "halve")}
            options |= {"onnx": str(onnx), "plan": str(draft / PLAN)}
            options["timing"] = str(self.folder / TIMING.replace("*", _timing_key(facts)))
            _run_builder(options, progress)
            seconds = round(time.monotonic() - began, 3)
            _write_card(draft, facts, seconds)
            try:
                draft.rename(folder)
            except OSError:  # another process built the same plan first
                return verified_plan(folder)
        log.info("plan built", extra={"network": str(onnx), "seconds": seconds})
        return folder / PLAN

    def _tidy(self) -> None:
        """Remove the plans unused for longest, to make room for one, and unfinished builds."""
        now = time.time()
        for left in self.folder.glob(f"{_PART}*"):
            if now - _touched(left, now) > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
        folders = [card.parent for card in self.folder.glob(f"*/{CARD}")]
        folders.sort(key=lambda folder: _touched(folder, now), reverse=True)
        for folder in folders[_KEPT - 1 :]:
            shutil.rmtree(folder, ignore_errors=True)


def plan_facts(
    onnx: Path, precision: Precision, profile: Profile, *, half_range: Range | None = None
) -> dict[str, Any]:
    """Everything that a plan depends on, as a map; its hash names the folder of the plan. Refusal
    if TensorRT is not installed, OSError if the network cannot be read.
    """
    return {
        "onnx_sha256": sha256_of(onnx),
        "backend": version(),
        "gpu": _gpu(),
        "machine": f"{platform.system()} {platform.machine()}",
        "precision": precision,
        "halve": None if half_range is None else list(half_range),
        "profile": {name: [list(shape) for shape in shapes] for name, shapes in profile.items()},
        "recipe": _RECIPE,
    }


def _touched(path: Path, now: float) -> float:
    """Time of the last use; `now` if another process has removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return now


def _timing_key(facts: dict[str, Any]) -> str:
    """Key of a timing cache: TensorRT refuses one of another version or GPU."""
    key = json.dumps([facts[name] for name in ("backend", "gpu", "machine")])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def verified_plan(folder: Path) -> Path:
    """The path of the plan in a folder. Its sha256 is compared with that written at its building,
    because to load a plan runs code in it. Refusal if one of the two files cannot be read, or if
    the plan was changed. GPU and versions are not checked.
    """
    path = folder / PLAN
    try:
        card = json.loads((folder / CARD).read_text())
        found = sha256_of(path)
    except (OSError, ValueError) as error:
        raise Refusal(f"{folder} holds no plan ({error}); remove it to build it again") from error
    if not isinstance(card, dict) or card.get("sha256") != found:
        raise Refusal(
            f"{path} has sha256 {found[:12]}, expected that of the plan "
            "that was built; it was changed or damaged, remove it to build it again"
        )
    return path


def _gpu() -> str:
    """The name of the GPU, "none" without one: tensorrt_rtx builds without a GPU."""
    try:
        from cvsf.engine.cuda import gpu_name

        return gpu_name()
    except (ImportError, Refusal):
        return "none"


def _run_builder(options: dict[str, Any], progress: Callable[[str, float], None]) -> None:
    """Build a plan in a child process, which is ended in any case."""
    arguments = [*command("plan builder"), json.dumps(options)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True) as builder,
    ):
        refusal = None
        try:
            assert builder.stdout is not None
            for line in builder.stdout:
                fields = _fields(line)
                if "phase" in fields:
                    progress(str(fields["phase"]), float(fields["share"]))
                refusal = fields.get("refusal", refusal)
        except BaseException:  # `progress` may raise
            builder.kill()
            raise
        if builder.wait() == 0:
            return
        errors.seek(0)
        last = errors.read().strip().splitlines()[-1:]
        why = refusal or f"its builder ended with {builder.returncode} {' '.join(last)}".strip()
        raise Refusal(f"no plan for {options['onnx']}: {why}")


def _fields(line: str) -> dict[str, Any]:
    """The fields of a line of the builder; none if a library wrote the line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _write_card(draft: Path, facts: dict[str, Any], seconds: float) -> None:
    path = draft / PLAN
    now = datetime.now(UTC).isoformat(timespec="seconds")
    card = {"sha256": sha256_of(path), "bytes": path.stat().st_size, "built": now}
    (draft / CARD).write_text(json.dumps(card | {"seconds": seconds} | facts, indent=2) + "\n")
    for name in (PLAN, CARD):
        with (draft / name).open("rb") as file:
            os.fsync(file.fileno())


def _ignore(phase: str, share: float) -> None:
    """Report no progress."""
