"""TensorRT plans: built in a process of their own, kept under a key that names all they hang on.

A plan runs only on the GPU and the version it was built for, and is executed like code: one that
differs in the key or in its bytes is built again.
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
"""Plans kept, those used last; every night's engine adds one of tens of megabytes. A guess, not
measured.
"""
_STALE_S = 6 * 3600.0
"""Age after which an unfinished build is taken as killed; a guess, not measured."""
_RECIPE = 1
"""Version of the mixed precision and the building here; a change builds all plans again."""


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
        halve: Range | None = None,
    ) -> Path:
        """The plan of a network, built now where there is none that is whole; with
        `halve`, the range of its inputs, in mixed precision. Refusal with TensorRT's own message.
        """
        facts = plan_facts(onnx, precision, profile, halve=halve)
        place = self._place(facts)
        if place.is_dir():
            try:
                plan = verified_plan(place)
                os.utime(place)
                return plan
            except Refusal as refusal:
                log.warning("plan is not what was built, building it again: %s", refusal)
                shutil.rmtree(place)
        return self._build(onnx, facts, place, progress or _ignore)

    def is_ready(
        self, onnx: Path, precision: Precision, profile: Profile, *, halve: Range | None = None
    ) -> bool:
        """Whether the plan is there, whole."""
        place = self._place(plan_facts(onnx, precision, profile, halve=halve))
        try:
            return place.is_dir() and verified_plan(place).is_file()
        except Refusal:
            return False

    def _place(self, facts: dict[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{facts['onnx_sha256'][:8]}-{facts['precision']}-{digest[:16]}"

    def _build(
        self, onnx: Path, facts: dict[str, Any], place: Path, progress: Callable[[str, float], None]
    ) -> Path:
        began = time.monotonic()
        log.info("building a plan", extra={"network": str(onnx), "backend": facts["backend"]})
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy()
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=_PART) as scratch:
            draft = Path(scratch) / "whole"
            draft.mkdir()
            order = {name: facts[name] for name in ("precision", "profile", "halve")}
            order |= {"onnx": str(onnx), "plan": str(draft / PLAN)}
            order["timing"] = str(self.folder / TIMING.replace("*", _where(facts)))
            _run_builder(order, progress)
            seconds = round(time.monotonic() - began, 3)
            _write_card(draft, facts, seconds)
            try:
                draft.rename(place)
            except OSError:  # another process built the same plan first
                return verified_plan(place)
        log.info("plan built", extra={"network": str(onnx), "seconds": seconds})
        return place / PLAN

    def _tidy(self) -> None:
        """Make room for one more: the plans unused for longest, and what was killed half built."""
        now = time.time()
        for left in self.folder.glob(f"{_PART}*"):
            if now - _touched(left, now) > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
        places = [card.parent for card in self.folder.glob(f"*/{CARD}")]
        places.sort(key=lambda place: _touched(place, now), reverse=True)
        for place in places[_KEPT - 1 :]:
            shutil.rmtree(place, ignore_errors=True)


def plan_facts(
    onnx: Path, precision: Precision, profile: Profile, *, halve: Range | None = None
) -> dict[str, Any]:
    """The key of a plan; any difference is another plan."""
    return {
        "onnx_sha256": sha256_of(onnx),
        "backend": version(),
        "gpu": _gpu(),
        "machine": f"{platform.system()} {platform.machine()}",
        "precision": precision,
        "halve": None if halve is None else list(halve),
        "profile": {name: [list(shape) for shape in shapes] for name, shapes in profile.items()},
        "recipe": _RECIPE,
    }


def _touched(path: Path, now: float) -> float:
    """When it was used last; just now where another build beside this one has taken it away."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return now


def _where(facts: dict[str, Any]) -> str:
    """Key of the timings: TensorRT refuses those of another version or GPU."""
    where = json.dumps([facts[name] for name in ("backend", "gpu", "machine")])
    return hashlib.sha256(where.encode()).hexdigest()[:16]


def verified_plan(place: Path) -> Path:
    """The plan in its folder, whose bytes are those that were built: deserialising runs them."""
    path = place / PLAN
    try:
        card = json.loads((place / CARD).read_text())
        found = sha256_of(path)
    except (OSError, ValueError) as error:
        raise Refusal(f"{place} holds no plan ({error}); remove it to build it again") from error
    if not isinstance(card, dict) or card.get("sha256") != found:
        raise Refusal(
            f"{path} has sha256 {found[:12]}, not that of the plan that was built; "
            "it was changed or damaged, remove it to build it again"
        )
    return path


def _gpu() -> str:
    """The GPU's name, or that there is none: tensorrt_rtx builds without one."""
    try:
        from cvsf.engine.cuda import gpu_name

        return gpu_name()
    except (ImportError, Refusal):
        return "none"


def _run_builder(order: dict[str, Any], progress: Callable[[str, float], None]) -> None:
    """Have the plan built; the process ends with this call, however that ends."""
    words = [*command("plan builder"), json.dumps(order)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True) as builder,
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
        raise Refusal(f"no plan for {order['onnx']}: {why}")


def _fields(line: str) -> dict[str, Any]:
    """One line of the builder; libraries write to its standard output too."""
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
    """Progress that is not reported."""
