"""The descent: one lifter, one variant, one seed, from a fresh start or exactly from where a
checkpoint left it.

The learning rate follows the steps, and the clock where minutes are given; everything random is
drawn from saved states.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from cvsf.lifter import Lifter, LifterShape
from cvsf.refusal import Refusal
from cvsf.skeleton import JointSet
from train.checkpoint import Checkpoint
from train.config import TrainConfig

Objective = Callable[[Lifter, float], Tensor]
"""A lifter and how much of the run is done, to the loss of a new batch."""


@dataclass(slots=True, kw_only=True)
class Descent:
    """A run in progress."""

    config: TrainConfig
    joint_set: JointSet
    seed: int
    lifter: Lifter
    optimiser: torch.optim.Optimizer
    generators: dict[str, torch.Generator]
    step: int = 0
    elapsed_s: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)

    def at_rest(self, sessions: tuple[str, ...], parent: Checkpoint | None = None) -> Checkpoint:
        """The run as a checkpoint; a parent's recordings are its own too."""
        taught = parent.sessions if parent else ()
        random = {name: g.get_state() for name, g in self.generators.items()}
        return Checkpoint(
            variant=self.config.variant,
            joint_set=self.joint_set.name,
            shape={
                "joints": len(self.joint_set),
                "width": self.config.width,
                "blocks": self.config.blocks,
            },
            weights=self.lifter.state_dict(),
            config=self.config.model_dump(),
            sessions=tuple(dict.fromkeys((*taught, *sessions))),
            parent=parent.engine if parent else None,
            seed=self.seed,
            step=self.step,
            optimiser=self.optimiser.state_dict(),
            random=random | {"elapsed_s": self.elapsed_s},
            curve=list(self.curve),
        )


def start(
    config: TrainConfig, joint_set: JointSet, seed: int, parent: Checkpoint | None = None
) -> Descent:
    """A new run, from random weights or from a parent's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lifter = Lifter(
            LifterShape(joints=len(joint_set), width=config.width, blocks=config.blocks)
        )
    if parent is not None:
        if parent.shape != asdict(lifter.shape):
            raise Refusal(
                f"the parent is a lifter of {parent.shape}, expected {asdict(lifter.shape)}"
            )
        lifter.load_state_dict(parent.weights)
    return Descent(
        config=config,
        joint_set=joint_set,
        seed=seed,
        lifter=lifter,
        optimiser=_optimiser(config, lifter),
        generators={"batches": torch.Generator().manual_seed(seed)},
    )


def resume(config: TrainConfig, joint_set: JointSet, checkpoint: Checkpoint) -> Descent:
    """The run a checkpoint was taken from, to the bit."""
    run = start(config, joint_set, checkpoint.seed)
    run.lifter.load_state_dict(checkpoint.weights)
    run.optimiser.load_state_dict(checkpoint.optimiser)
    for name, generator in run.generators.items():
        generator.set_state(checkpoint.random[name])
    run.step, run.curve = checkpoint.step, list(checkpoint.curve)
    run.elapsed_s = float(checkpoint.random["elapsed_s"])
    return run


def descend(
    run: Descent,
    objective: Objective,
    minutes: float | None,
    told: Callable[[Descent, float, float], None],
) -> None:
    """Train to the end of the steps or the minutes; `told` is called with progress and loss after
    every step.
    """
    config = run.config
    began = time.monotonic() - run.elapsed_s
    run.lifter.train()
    while (progress := _progress(run, minutes)) < 1:
        for group in run.optimiser.param_groups:
            group["lr"] = config.rate * schedule(run.step, progress, config.warm_up_steps)
        loss = objective(run.lifter, progress)
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.lifter.parameters(), config.gradient_norm)
        run.optimiser.step()
        run.step += 1
        run.elapsed_s = time.monotonic() - began
        told(run, progress, float(loss.detach()))
    run.lifter.eval()


def schedule(step: int, progress: float, warm_up_steps: int) -> float:
    """Share of the learning rate: a short rise, then half a cosine down to a thousandth."""
    rise = min(1.0, (step + 1) / warm_up_steps)
    return rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 1e-3)


def _progress(run: Descent, minutes: float | None) -> float:
    by_steps = run.step / run.config.steps
    return by_steps if minutes is None else max(by_steps, run.elapsed_s / (60 * minutes))


def _optimiser(config: TrainConfig, lifter: Lifter) -> torch.optim.Optimizer:
    made: Any = torch.optim.AdamW(
        lifter.parameters(), lr=config.rate, weight_decay=config.weight_decay
    )
    assert isinstance(made, torch.optim.Optimizer)
    return made
