"""Two commits side by side: the same answers, and how long they take to start.

`python -m tests.support.compare_commits OLD NEW FILE.npz ...`, at the repository root, builds
both commits into folders of their own, gives both the same work and prints one JSON object: what
differs by more than the tolerances below, the largest differences, and the start-up of the new
commit over that of the old one. Each FILE.npz is a multi-view file of a person who moves; networks
are trained on the first.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.paths import DATA, ROOT

REPEATS = 15
STEPS = 20
SMALL = {
    "width": 32,
    "blocks": 1,
    "threads": 1,
    "batch_instants": 8,
    "check_instants": 8,
    "precision": "float64",
}
MILLIMETRES = 0.01
"""Of every figure of `cvsf calibrate` and `cvsf evaluate` in mm."""
UNIT_SCALE = 1e-5
"""Of a replayed session's joints, in unit scale."""
SHARE = 1e-3
"""Of every other figure of `cvsf calibrate` and `cvsf evaluate`, relative to its size."""
LOSS = 1e-6
"""Of a training step's loss in float64, relative to its size."""
STARTS = {
    "cvsf --help": ["-m", "cvsf", "--help"],
    "import of a node": ["-c", "import capture.node"],
    "import of the hub": ["-c", "import runtime.hub"],
}
_TIMES = (
    "seconds_per_session",
    "seconds_over_triangulation",
    "triangulation_seconds_per_session",
)
"""Keys that say how long it took."""


def build(commit: str, folder: Path) -> Path:
    """The commit's wheel, unpacked where PYTHONPATH finds it."""
    source, place = folder / f"source-{commit}", folder / f"built-{commit}"
    subprocess.run(
        ["git", "-C", ROOT, "worktree", "add", "-f", "--detach", source, commit], check=True
    )
    try:
        words = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
        words += [str(place), str(source)]
        subprocess.run(words, check=True)
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", source], check=True)
    return place


def run(built: Path, *words: str, cwd: Path) -> str:
    """Standard output of a Python that knows only this build."""
    alone = {"PYTHONPATH": str(built), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *words], env=os.environ | alone, cwd=cwd, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stderr}")
    return done.stdout


def command(built: Path, cwd: Path, *words: str) -> Any:
    """The JSON object that a command ends with."""
    return json.loads(run(built, "-m", "cvsf", *words, "--json", cwd=cwd).splitlines()[-1])


def answers(built: Path, files: list[Path], folder: Path) -> dict[str, Any]:
    """What one build makes of the same work."""
    folder.mkdir()
    found: dict[str, Any] = {
        "bench replay": command(built, folder, "bench", "replay", str(DATA / "session"))
    }
    for file in files:
        found[f"calibrate {file.stem}"] = command(built, folder, "calibrate", str(file))
        found[f"evaluate {file.stem}"] = command(built, folder, "evaluate", str(file))
    config = folder / "config.json"
    config.write_text(json.dumps(SMALL | {"steps": STEPS, "checks": STEPS}))
    for variant in ("s1s2", "stage3"):
        words = [str(files[0]), "--variant", variant, "--config", str(config), "--out", variant]
        command(built, folder, "train", *words)
        checkpoint = folder / variant / "seed-0" / "checkpoint.pt"
        program = (
            "import json, sys, torch\n"
            "saved = torch.load(sys.argv[1], weights_only=True)\n"
            "print(json.dumps([point['loss'] for point in saved['curve']]))"
        )
        losses = json.loads(run(built, "-c", program, str(checkpoint), cwd=folder))
        assert len(losses) == STEPS
        found[f"losses of {variant}"] = losses
    return found


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two answers are not the same."""

    where: str
    old: Any
    new: Any

    @property
    def kind(self) -> str:
        """Which tolerance holds there."""
        if self.where.startswith(".losses"):
            return "loss"
        if self.where.startswith(".bench replay"):
            return "unit scale"
        return "mm" if "_mm" in self.where else "share"

    @property
    def size(self) -> float:
        """In units of its tolerance's kind; infinite for what is no number."""
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in (self.old, self.new)):
            return math.inf
        apart = float(abs(self.new - self.old))
        return apart if self.kind in ("mm", "unit scale") else apart / max(abs(self.old), 1e-9)


_TOLERANCES = {"mm": MILLIMETRES, "unit scale": UNIT_SCALE, "share": SHARE, "loss": LOSS}


def differences(old: Any, new: Any, where: str = "") -> list[Difference]:
    """The places where two answers are not the same to the last digit."""
    if where.rpartition(".")[2] in _TIMES:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        return [d for k in keys for d in differences(old.get(k), new.get(k), f"{where}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}[{i}]")]
    is_same = old == new or (old != old and new != new)  # two that are not a number
    return [] if is_same else [Difference(where, old, new)]


def start_seconds(builds: list[Path], words: list[str], folder: Path) -> list[float]:
    """Median of each build, in turns."""
    times: list[list[float]] = [[] for _ in builds]
    for _ in range(REPEATS):
        for built, row in zip(builds, times, strict=True):
            begun_s = time.perf_counter()
            run(built, *words, cwd=folder)
            row.append(time.perf_counter() - begun_s)
    return [statistics.median(row[1:]) for row in times]


def main(old: str, new: str, *files: str) -> None:
    """Build, compare, print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        builds = [build(commit, folder) for commit in (old, new)]
        made = [
            answers(built, [Path(f).absolute() for f in files], folder / f"answers-{built.name}")
            for built in builds
        ]
        starts = {}
        for what, words in STARTS.items():
            before_s, after_s = start_seconds(builds, words, folder)
            starts[what] = {"old_s": before_s, "new_s": after_s, "ratio": after_s / before_s}
    apart = differences(made[0], made[1])
    result = {
        "differences": [
            f"{d.where}: {d.old} is now {d.new}" for d in apart if d.size > _TOLERANCES[d.kind]
        ],
        "largest": {
            kind: max((d.size for d in apart if d.kind == kind), default=0.0)
            for kind in _TOLERANCES
        },
        "replay": [one["bench replay"] for one in made],
        "losses": {k: v[-1] for k, v in made[1].items() if k.startswith("losses")},
        "starts": starts,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
