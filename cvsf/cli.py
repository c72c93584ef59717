"""`cvsf`: every command but `cvsf-capture`, each imported when it is called.

So `cvsf hub` does not load torch, and a command without its optional packages reports their name.
"""

import importlib
import importlib.metadata
import sys
from collections.abc import Callable
from typing import cast

import typer

from cvsf.system.errors import Refusal
from cvsf.system.log import start_log

COMMANDS = {
    "hub": ("runtime.__main__:hub", "Frames in, skeletons out; cvsf-capture starts one."),
    "node": ("capture.node:node", "One camera; cvsf-capture starts one per camera."),
    "watch": ("runtime.commands.watch:watch", "A live table of a running hub."),
    "cameras": (
        "capture.list_cameras:cameras",
        "List, preview and name the cameras of this machine.",
    ),
    "sessions": ("runtime.commands.sessions:sessions", "List recorded sessions, or show one."),
    "models": (
        "runtime.commands.models:models",
        "List the engines, show, add or promote one, go back.",
    ),
    "promote": (
        "runtime.commands.models:promote",
        "Make an engine live; a running hub swaps to it.",
    ),
    "simulate": (
        "capture.simulator.dataset:simulate",
        "Write labelled pictures of the simulated slope.",
    ),
    "train": ("train.train:train", "Learn a lifter from sessions or multi-view files."),
    "train-detector": (
        "train.detector.train_detector:train_detector",
        "Learn the small 2D network of the simulated skier.",
    ),
    "train-morph": (
        "train.train_keypoint_adapter:train_morph",
        "Learn the offsets of a detector's joints from the ground truth's.",
    ),
    "calibrate": ("train.calibrate:calibrate", "Find the cameras of recordings from the athlete."),
    "evaluate": ("train.evaluate:evaluate", "Score a lifter on a multi-view file."),
    "nightly": (
        "train.nightly:nightly",
        "Train on the day's sessions; a measurably better engine goes live.",
    ),
    "compile": (
        "train.export.compile:compile_",
        "Turn a checkpoint into a lifter the hub can run.",
    ),
}
BENCHES = {
    "calibrate": (
        "train.bench.calibrate:bench_calibrate",
        "Calibration without, with right and with wrong focal lengths; other programs beside it.",
    ),
    "sim": (
        "runtime.bench.sim:bench_sim",
        "3D error on simulated skiers that were never trained on.",
    ),
    "live": (
        "runtime.bench.live:bench_live",
        "Skeletons in metres from cameras found live, one of them knocked, all but one unplugged.",
    ),
    "clip": (
        "runtime.bench.clip:bench_clip",
        "3D error on a clip with a calibration for scores.",
    ),
    "replay": (
        "runtime.bench.replay:bench_replay",
        "Whether a replayed session gives the recorded skeletons.",
    ),
    "swap": (
        "runtime.bench.swap:bench_swap",
        "Effect of hot swaps on a client, and refusals of damaged engines.",
    ),
    "hub": (
        "runtime.bench.hub:bench_hub",
        "The hub's time for an instant, over that of decoding its pictures.",
    ),
    "night": (
        "train.bench.night:bench_night",
        "Gain of whole nights on new slopes; none from spoiled sessions.",
    ),
    "engine": (
        "train.bench.engine:bench_engine",
        "The compiled lifter against torch, on every backend of this machine.",
    ),
    "fusion": (
        "train.bench.fusion:bench_fusion",
        "Cost of cross-view fusion in training, over that of the lifter.",
    ),
}
EXTRA_OF = {
    **dict.fromkeys(["torch", "onnx", "onnxscript", "jinja2", "matplotlib"], "train"),
    **dict.fromkeys(["cdflib", "h5py", "scipy"], "train"),
    "av": "rtsp",
}


def _find(words: list[str]) -> tuple[str, str] | None:
    """The name of the command, and its target."""
    if words[:1] == ["bench"] and len(words) > 1 and words[1] in BENCHES:
        return f"bench {words[1]}", BENCHES[words[1]][0]
    if words and words[0] in COMMANDS:
        return words[0], COMMANDS[words[0]][0]
    return None


def _load(name: str, target: str) -> Callable[..., None]:
    module, _, function = target.partition(":")
    try:
        return cast(Callable[..., None], getattr(importlib.import_module(module), function))
    except ModuleNotFoundError as error:
        extra = EXTRA_OF.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise Refusal(
            f"cvsf {name} needs {error.name}, which is not installed; run: pip install '.[{extra}]'"
        ) from None


def _overview() -> str:
    rows = [f"  {name:<16}{text}" for name, (_, text) in COMMANDS.items()]
    rows += [f"  bench {name:<10}{text}" for name, (_, text) in BENCHES.items()]
    title = "cvsf: live 3D motion capture from uncalibrated cameras"
    return "\n".join([title, "", *rows, "", "  cvsf COMMAND --help describes one; cvsf --version"])


def run_or_refuse(run: Callable[[], None]) -> None:
    """Start the log and run the process. On a Refusal its sentence goes to standard error, and
    SystemExit with code 2 is raised; other exceptions pass.
    """
    start_log()
    try:
        run()
    except Refusal as refusal:
        typer.echo(str(refusal), err=True)
        sys.exit(2)


def run() -> None:
    """Run the command that `sys.argv` names; without one, the overview is printed. An unknown
    command, a missing package or another Refusal: one sentence and SystemExit with code 2.
    """
    run_or_refuse(_run)


def _run() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--version"]:
        typer.echo(f"cvsf {importlib.metadata.version('cvsf')}")
        return
    if (
        not words
        or words[0] in ("--help", "-h")
        or words == ["bench"]
        or words[:2] == ["bench", "--help"]
    ):
        typer.echo(_overview())
        return
    found = _find(words)
    if found is None:
        raise Refusal(f"cvsf has no command {' '.join(words[:2])!r}; cvsf --help lists them")
    name, target = found
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(_load(name, target))
    app(words[len(name.split()) :], prog_name=f"cvsf {name}")
