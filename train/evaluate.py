"""`cvsf evaluate`: how good an engine is on a multi-view file, as one table or one JSON object.

What it scores is the compiled engine, the thing the hub runs, not the checkpoint it came from.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cvsf.engine import SHIPPED, Engine, load_engine
from cvsf.skeleton import Array
from train.read import read_instants
from train.score3d import Lift, score
from train.shown import show


def evaluate(
    file: Annotated[Path, typer.Argument(help="multi-view .npz file, or a session folder")],
    engine: Annotated[
        Path | None,
        typer.Option(help="folder of a compiled lifter; default: the one inside the package"),
    ] = None,
    subjects: Annotated[str, typer.Option(help="only these, separated by commas")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Score a compiled lifter on a multi-view file."""
    loaded = load_engine(engine)
    instants = read_instants([file])
    if subjects:
        instants = instants.of_subjects(subjects.split(","))
    again = lift_again(loaded, engine or SHIPPED)
    facts = score(lift_with(loaded), instants, again) | {"engine": loaded.id}
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        show(facts, f"{facts['frames']} instants, engine {facts['engine']}")


def lift_with(engine: Engine) -> Any:
    """The engine as scoring wants it."""

    def lift(keypoints_px: Array, confidence: Array, image_px: Array) -> dict[str, Array]:
        return engine.lift_many(keypoints_px, confidence, image_px)

    return lift


def lift_again(engine: Engine, folder: Path) -> Lift | None:
    """Of an engine that morphs: its lifter without the morph, for 2D that was morphed already."""
    if not engine.manifest.morph:
        return None
    from train import run
    from train.checkpoint import read_checkpoint

    return run.lift_with(read_checkpoint(folder).lifter())
