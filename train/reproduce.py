"""The paper's variants on a published dataset: trained where they are not there yet, then tabled.

One command makes a table again; what it trained stays, so the next table is quick.
"""

from pathlib import Path

import typer

from train.check import CHECKPOINT
from train.checkpoint import read_checkpoint
from train.config import Variant
from train.read import choice
from train.run import lift_with
from train.tables import Row
from train.train import Material, Order, carry_out

_REPORTED: tuple[Variant, ...] = ("baseline", "s1", "s1s2")


def reproduced(
    dataset: Path, runs: Path, config: str, minutes: float | None, truth_2d: bool
) -> dict[str, Row]:
    """A row per variant of the paper, from the checkpoints in `runs`; missing ones are trained."""
    rows: dict[str, Row] = {}
    for variant in _REPORTED:
        out = runs / variant
        path = out / "seed-0" / CHECKPOINT
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
