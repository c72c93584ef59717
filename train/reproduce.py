"""The paper's variants on a published dataset: trained where they are not there yet, then tabled.

One command makes a table again; what it trained stays, so the next table is quick.
"""

import json
from pathlib import Path
from typing import Any

import typer

from cvsf.system.errors import Refusal
from train.checkpoint import read_checkpoint
from train.config import Variant, training_config
from train.data.read import choice
from train.data.splits import Material
from train.evaluation.paper_tables import Row
from train.loop.preflight import CHECKPOINT, check_same
from train.loop.run import lift_with
from train.train import Order, carry_out

_MATERIAL = "material.json"
_REPORTED: tuple[Variant, ...] = ("baseline", "s1", "s1s2")


def _check_material(path: Path, material: dict[str, Any]) -> None:
    """Write the data that the runs beside this file are trained on; Refusal if it is other data."""
    if path.exists():
        found = json.loads(path.read_text())
        if found != material:
            raise Refusal(
                f"{path.parent} holds runs made of {found}, expected {material}; "
                "give another folder as --runs"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(material) + "\n")


def reproduced(
    name: str, dataset: Path, runs: Path, config: str, minutes: float | None, truth_2d: bool
) -> dict[str, Row]:
    """What lifts, and what lifts refined 2D, by variant of the paper, from the checkpoints in
    `runs`, made of the dataset `name` in a folder, with its true 2D if `truth_2d`. `config` is
    `paper` or a JSON file. Missing ones are trained there, and unfinished ones to the end, which
    takes long: each for that many minutes of computing at most, or all steps if None. Then it must
    be on the main thread.

    Refusal if the runs that are there were made of other material or with another configuration, or
    if a checkpoint cannot be read, or if training is refused or stopped.
    """
    _check_material(runs / _MATERIAL, {"dataset": name, "truth_2d": truth_2d})
    rows: dict[str, Row] = {}
    for variant in _REPORTED:
        out = runs / variant
        path = out / "seed-0" / CHECKPOINT
        if path.exists():
            check_same(path, training_config(config, variant))
        if not path.exists() or not read_checkpoint(path).scores:
            typer.echo(f"training {variant} into {out}", err=True)
            material = Material([], dataset, choice("", ""), truth_2d)
            carry_out(
                Order(
                    material=material,
                    out=out,
                    variant=variant,
                    config=config,
                    minutes=minutes,
                    again=path.exists(),
                )
            )
        checkpoint = read_checkpoint(path)
        lifter = checkpoint.lifter()
        rows[variant] = lift_with(lifter, checkpoint.morphing()), lift_with(lifter)
    return rows
