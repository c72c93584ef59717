"""The optimisation: one lifter, one variant, one seed, from new weights or exactly from where a
checkpoint left it.

One loop for one process or many. The learning rate follows the steps; everything random is drawn
from saved states.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from cvsf.model.lifter import Lifter, LifterShape
from cvsf.skeleton import JointSet
from cvsf.system.errors import Refusal
from train.batches.batch import Batch, Draw
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.distributed import ProcessGroup
from train.loop.objectives import FUSED, Objective, step_weights
from train.loop.plateau import Plateau

_TIMED = 30
"""Steps that are timed, after as many that are not, before minutes become a number of steps; a
guess, not measured."""
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}


@dataclass(slots=True, kw_only=True)
class Run:
    """A training run in progress."""

    config: TrainConfig
    joint_set: JointSet
    seed: int
    lifter: Lifter
    optimiser: torch.optim.Optimizer
    generators: dict[str, torch.Generator]
    plateau: Plateau
    steps: int  # of the whole run; fewer than the configuration's where minutes are short
    timed: bool = False  # minutes have become steps
    stage: int = 1
    step: int = 0
    spent_s: float = 0.0  # of processor time, or of a GPU's
    stage2_step: int | None = None  # after which stage 2 began
    noted: float = 0.0  # sum of the losses since the last point of the curve
    curve: list[dict[str, float]] = field(default_factory=list)

    @property
    def progress(self) -> float:
        """How much of the run is done, 0 to 1."""
        return self.step / self.steps

    def checkpoint(self, sessions: tuple[str, ...], parent: Checkpoint | None = None) -> Checkpoint:
        """The run as a checkpoint; its sessions include the parent's. Weights and the optimiser's
        state are the run's own tensors, not copies: write it before the run goes on.
        """
        inherited = parent.sessions if parent else ()
        return Checkpoint(
            variant=self.config.variant,
            joint_set=self.joint_set.name,
            shape=asdict(self.lifter.shape),
            weights=self.lifter.state_dict(),
            config=self.config.model_dump(),
            sessions=tuple(dict.fromkeys((*inherited, *sessions))),
            parent=parent.engine if parent else None,
            seed=self.seed,
            step=self.step,
            optimiser=self.optimiser.state_dict(),
            random={name: g.get_state() for name, g in self.generators.items()},
            course={
                "steps": self.steps,
                "timed": self.timed,
                "stage": self.stage,
                "spent_s": self.spent_s,
                "stage2_step": self.stage2_step,
                "noted": self.noted,
                "plateau": asdict(self.plateau),
            },
            curve=list(self.curve),
        )


def start(
    config: TrainConfig,
    joint_set: JointSet,
    seed: int,
    parent: Checkpoint | None = None,
    device: torch.device | None = None,
) -> Run:
    """A new run: random weights from the seed, or the parent's. For windows, the layers that lift
    single frames are fixed and only the others learn. Torch's own random state stays as it was;
    Refusal if the parent has another joint set or size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lifter = Lifter(config.shape(joint_set))
    if parent is not None:
        check_parent(parent, lifter.shape, joint_set)
        # the layers that a window adds to a parent of single frames start at zero
        lifter.load_state_dict(lifter.state_dict() | parent.weights)
    if config.frames > 1:  # the weights learned on single frames stay as they are
        for part in (lifter.stem, lifter.blocks):
            part.requires_grad_(False)
    lifter = lifter.to(device or torch.device("cpu"), _DTYPES[config.precision])
    lifter.matrix_type = torch.bfloat16 if config.precision == "bfloat16" else None
    return Run(
        config=config,
        joint_set=joint_set,
        seed=seed,
        lifter=lifter,
        optimiser=_optimiser(config, lifter),
        generators={"batches": torch.Generator().manual_seed(seed)},
        plateau=Plateau(window_steps=config.plateau_window_steps, drop=config.plateau_drop),
        steps=config.steps,
    )


def resume(
    config: TrainConfig,
    joint_set: JointSet,
    checkpoint: Checkpoint,
    device: torch.device | None = None,
) -> Run:
    """The run of a checkpoint, with its seed, steps and random state: with the same data it goes on
    with exactly the same numbers as without a break. Nothing is trained yet. Refusal if the
    checkpoint holds weights only.
    """
    if not checkpoint.course:
        raise Refusal(
            "the checkpoint holds weights and no run to go on with; give it as --parent instead"
        )
    run = start(config, joint_set, checkpoint.seed, device=device)
    run.lifter.load_state_dict(checkpoint.weights)
    run.optimiser.load_state_dict(checkpoint.optimiser)
    for name, generator in run.generators.items():
        generator.set_state(checkpoint.random[name])
    run.step, run.curve = checkpoint.step, list(checkpoint.curve)
    course = dict(checkpoint.course)
    run.plateau = Plateau(**course.pop("plateau"))
    for name, value in course.items():
        setattr(run, name, value)
    return run


def optimise(
    run: Run,
    draw: Draw,
    minutes: float | None = None,
    on_step: Callable[[float], None] = lambda loss: None,
    group: ProcessGroup | None = None,
    stop: threading.Event | None = None,
) -> bool:
    """Train `run`, in place, to the end of its steps or of the minutes of computing; whether it got
    there. It ends earlier after the first step that finds `stop` set in any process. All processes
    of the group must call it; it blocks. The lifter is left in evaluation mode.

    `on_step` is called after every step with its loss, the mean over the processes. Minutes are of
    processor time (all threads), with CUDA of elapsed time. They are converted to a number of steps
    once some are timed, so that a resumed run is the same; in a run that has done so they are
    ignored. Refusal if the loss is not finite.
    """
    group, config = group or ProcessGroup(), run.config
    model = group.data_parallel(Objective(run.lifter, run.joint_set, config))
    if config.compiled:
        model.compile()
    parameters = [part for part in run.lifter.parameters() if part.requires_grad]
    clock = time.perf_counter if group.device.type == "cuda" else time.process_time
    timing = None if minutes is None or run.timed else _Timing(clock)
    run.lifter.train()
    while run.step < run.steps:
        began = clock()
        for parameters_of in run.optimiser.param_groups:
            parameters_of["lr"] = config.rate * schedule(
                run.step, run.progress, config.warm_up_steps
            )
        batch = draw()
        loss: Tensor = model(batch, step_weights(config, run.stage, run.step))
        run.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, config.gradient_norm)
        run.optimiser.step()
        run.step += 1
        took = clock() - began
        halt = float(stop is not None and stop.is_set())
        value, took, halt = group.mean(float(loss.detach()), took, halt)
        if not math.isfinite(value):
            raise Refusal(
                f"the loss is {value} at step {run.step}, so the weights are lost; "
                "lower the rate, or look for what the recordings hold"
            )
        run.spent_s += took
        _advance(run, value)
        if timing is not None and minutes is not None and not run.timed:
            fused = timing.fused(model, batch, config)
            if timing.add(took, group.mean(fused)[0]):
                fits = timing.steps(60 * minutes, config)
                run.steps, run.timed = min(run.steps, max(run.step, fits)), True
        on_step(value)
        if halt:
            break
    run.lifter.eval()
    return run.step >= run.steps


class _Timing:
    """How long steps take, so that minutes become a number of steps."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._plain: list[float] = []
        self._fused: list[float] = []

    def fused(self, model: nn.Module, batch: Batch, config: TrainConfig) -> float:
        """Seconds of a stage 2 step beyond a plain one; its gradients are discarded."""
        if config.variant not in FUSED:
            return 0.0
        seconds = []
        for stage, step in ((2, 0), (1, 1)):
            began = self._clock()
            model(batch, step_weights(config, stage, step)).backward()
            seconds.append(self._clock() - began)
        return seconds[0] - seconds[1]

    def add(self, plain: float, fused: float) -> bool:
        """One more step; true once there are enough."""
        self._plain.append(plain)
        self._fused.append(fused)
        return len(self._plain) >= 2 * _TIMED

    def steps(self, seconds: float, config: TrainConfig) -> int:
        """How many fit, with stage 2 as early as it may come."""
        later = 1 - config.stage2_earliest
        share = later + config.stage2_earliest / config.refine_every
        each = median(self._plain[_TIMED:]) + share * median(self._fused[_TIMED:])
        return int(seconds / each)


def schedule(step: int, progress: float, warm_up_steps: int) -> float:
    """Share of the learning rate (up to 1.001): linear warm-up over the first steps, counted from
    0, then half a cosine of `progress` (0 to 1) down to a thousandth. The two are multiplied;
    progress above 1 counts as 1.
    """
    rise = min(1.0, (step + 1) / warm_up_steps)
    return rise * (0.5 * (1 + math.cos(math.pi * min(1.0, progress))) + 1e-3)


def _advance(run: Run, loss: float) -> None:
    """Stage 2 begins at the plateau, within the shares of the run that the configuration gives."""
    config = run.config
    if config.variant not in FUSED or run.stage == 2:
        return
    run.plateau.add(loss)
    converged = run.plateau.reached and run.progress >= config.stage2_earliest
    if converged or run.progress >= config.stage2_latest:
        run.stage, run.stage2_step = 2, run.step


def check_parent(parent: Checkpoint, shape: LifterShape, joint_set: JointSet) -> None:
    """Refusal if a run of that network cannot start from the parent's weights: another joint set or
    another size. A parent of single frames serves for windows too.
    """
    if parent.joint_set != joint_set.name:
        raise Refusal(
            f"the parent lifts joint set {parent.joint_set}, expected {joint_set.name}; "
            "give a parent of that set"
        )
    theirs, ours = asdict(parent.lifter().shape), asdict(shape)
    if theirs["frames"] == 1:  # windows start from single frames too
        theirs |= {name: ours[name] for name in ("frames", "memory")}
    if other := [name for name in ours if theirs[name] != ours[name]]:
        raise Refusal(
            f"the parent is a lifter of {', '.join(f'{n} {theirs[n]}' for n in other)}, "
            f"expected {', '.join(f'{n} {ours[n]}' for n in other)}; "
            "give the configuration it was trained with"
        )


def _optimiser(config: TrainConfig, lifter: Lifter) -> torch.optim.Optimizer:
    learned = [part for part in lifter.parameters() if part.requires_grad]
    made: Any = torch.optim.AdamW(learned, lr=config.rate, weight_decay=config.weight_decay)
    assert isinstance(made, torch.optim.Optimizer)
    return made
