"""`cvsf evaluate`: the scores of an engine on a multi-view file, as a table or a JSON object.

It scores the compiled engine that the hub runs, not the checkpoint.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cvsf.engine.engine import SHIPPED, Engine, load_engine
from cvsf.system.errors import Refusal
from train.checkpoint import read_checkpoint
from train.data.read import read_instants
from train.evaluation.lifter_table import show
from train.evaluation.paper_tables import dataset_of, show_table
from train.evaluation.paper_tables import table as table_of
from train.evaluation.score_lifter import Lift, score
from train.loop.run import lift_with
from train.reproduce import reproduced


def evaluate(
    file: Annotated[
        Path | None, typer.Argument(help="multi-view .npz file, or a session folder")
    ] = None,
    engine: Annotated[
        Path | None,
        typer.Option(help="folder of a compiled lifter; default: the one inside the package"),
    ] = None,
    subjects: Annotated[str, typer.Option(help="only these, separated by commas")] = "",
    table: Annotated[
        int | None, typer.Option(help="make this table of the paper (1 to 5) from --dataset")
    ] = None,
    dataset: Annotated[Path | None, typer.Option(help="folder of the published dataset")] = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="its rows: the variants trained here, and those that are not yet, now"),
    ] = None,
    config: Annotated[str, typer.Option(help="what they are trained with")] = "paper",
    minutes: Annotated[float | None, typer.Option(help="of computing, for each at most")] = None,
    truth_2d: Annotated[bool, typer.Option(help="the true 2D instead of a detector's")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Score a compiled lifter on a multi-view file, or make a table of the paper again."""
    if (table is None) != (dataset is None) or (file is None) == (table is None):
        raise Refusal("expected a FILE to score on, or both of --table N and --dataset DIR")
    if table is None and (runs is not None or truth_2d or minutes is not None):
        raise Refusal("--runs, --truth-2d and --minutes are of a --table; leave them out")
    if table is not None and (subjects or (runs is not None and engine is not None)):
        raise Refusal("a --table takes --engine or --runs for its rows, and no --subjects")
    if table is not None and dataset is not None:
        name = dataset_of(table, dataset)
        if runs is not None:
            rows = reproduced(name, dataset, runs, config, minutes, truth_2d)
        else:
            loaded = load_engine(engine)
            rows = {loaded.id: (loaded.lift_many, lift_again(loaded, engine or SHIPPED))}
        facts = table_of(table, dataset, rows, truth_2d=truth_2d)
        typer.echo(json.dumps(facts)) if as_json else show_table(facts)
        return
    assert file is not None
    facts = _scored(file, engine, subjects)
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        show(facts, f"{facts['frames']} instants, engine {facts['engine']}")


def _scored(file: Path, engine: Path | None, subjects: str) -> dict[str, Any]:
    loaded = load_engine(engine)
    instants = read_instants([file])
    if subjects:
        instants = instants.of_subjects(subjects.split(","))
    if not instants.confidence.any():
        raise Refusal(f"no person is seen in {file}; there is nothing to score")
    again = lift_again(loaded, engine or SHIPPED)
    return score(loaded.lift_many, instants, again) | {"engine": loaded.id}


def lift_again(engine: Engine, folder: Path) -> Lift | None:
    """Of an engine that morphs: its lifter without the morph, for 2D that was morphed already, from
    the checkpoint in its `folder`. None if it does not morph; Refusal if the folder has no
    checkpoint.
    """
    if not engine.manifest.morph:
        return None
    return lift_with(read_checkpoint(folder).lifter())
