"""What a lifter's training is made with: one pydantic model, copied into every run and checkpoint.

A hyperparameter is a value here, never a flag of the command.
"""

import json
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from cvsf.model.lifter import LifterShape, RotationForm
from cvsf.skeleton import JointSet
from cvsf.system.errors import Refusal

Variant = Literal["baseline", "s1", "s1s2", "stage3", "supervised"]


class TrainConfig(BaseModel):
    """One run of one variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Variant = "baseline"

    # the network (cvsf.model.lifter.LifterShape)
    width: int = Field(default=512, gt=0)
    blocks: int = Field(default=2, ge=0)
    head_blocks: int = Field(default=0, ge=0)
    layer_norm: bool = True
    rotation: RotationForm = "6d"
    bone_lengths: bool = True
    sides_alike: bool = True
    frames: int = Field(default=1, gt=0)  # of a window, whose middle is lifted; stage3 only
    memory: int = Field(default=96, gt=0)  # numbers by which each of them is remembered

    # what a batch is
    bodies: Literal["recorded", "virtual"] = "recorded"  # virtual: synthetic ones, supervised only
    virtual_views: int = Field(default=4, gt=1)  # for each instant of a batch
    recorded_share: float = Field(default=0.25, ge=0, le=1)  # of the views of variant stage3
    recombined_share: float = Field(default=0.4, ge=0, le=1)  # of its other bodies
    bent_share: float = Field(default=0.0, ge=0, le=1)  # and bent further than anybody recorded
    batch_instants: int = Field(default=32, gt=0)
    mirror_share: float = Field(default=0.0, ge=0, le=1)  # no use where sides are alike
    roll_deg: float = Field(default=0.0, ge=0)  # standard deviation of the roll given to a camera
    hidden_share: float = Field(default=0.0, ge=0, lt=1)  # of joints kept from the lifter's input

    # the descent
    steps: int = Field(default=9000, gt=0)
    rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1.0, ge=0)
    warm_up_steps: int = Field(default=200, gt=0)
    gradient_norm: float = Field(default=1.0, gt=0)

    # s1 and s1s2: stage 2 begins once the mean loss of a window is less than a share below that of
    # the window before it (the plateau), but not before one share of the steps nor after another
    plateau_window_steps: int = Field(default=300, gt=0)
    plateau_drop: float = Field(default=0.02, gt=0, lt=1)
    stage2_earliest: float = Field(default=0.7, gt=0, lt=1)
    stage2_latest: float = Field(default=0.85, gt=0, lt=1)
    # Eq. 3 and 5 do not feel the size of a canonical pose and the paper leaves it open, but Eq. 6
    # does: this is the Euclidean norm it is given there. At 1 agreement is had by lifting every
    # pose to much the same (docs/log.md)
    canonical_norm: float = Field(default=0.02, gt=0)
    refine_every: int = Field(default=10, gt=0)  # steps of stage 1 (train.loop.objectives)
    agreement_rounds: int = Field(default=4, ge=0)  # 0: Eq. 2 by the lifter's own rotations

    # a known body: beside where its joints are, what its shape alone weighs
    shape_weight: float = Field(default=0.0, ge=0)

    # beside every batch, the parent's answers to synthetic views (train.batches.rehearsal); 0: none
    rehearsal_weight: float = Field(default=0.0, ge=0)

    # the machine
    threads: int = Field(default=2, gt=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "float64", "bfloat16"] = "float32"
    compiled: bool = False  # torch.compile, on a GPU

    # looks at the kept-back instants
    checks: int = Field(default=20, gt=0)
    check_instants: int = Field(default=400, gt=0)
    report_instants: int = Field(default=20_000, gt=0)

    def shape(self, joint_set: JointSet) -> LifterShape:
        """The size of the lifter that these settings describe, for a joint set. The set's parents
        are in it only with `bone_lengths`, its mirrored joints only with `sides_alike`; else these
        are empty.
        """
        return LifterShape(
            joints=len(joint_set),
            width=self.width,
            blocks=self.blocks,
            head_blocks=self.head_blocks,
            layer_norm=self.layer_norm,
            rotation=self.rotation,
            parents=joint_set.parents if self.bone_lengths else (),
            mirrored=joint_set.mirrored if self.sides_alike else (),
            frames=self.frames,
            memory=self.memory,
        )


OF_THE_MACHINE = frozenset({"threads", "device", "compiled"})
"""What a run may go on with differently."""

PAPER: dict[str, Any] = {
    "width": 1024,
    "blocks": 1,
    "head_blocks": 2,
    "layer_norm": False,
    "rotation": "axis-angle",
    "bone_lengths": False,
    "sides_alike": False,
    "rate": 1e-4,
    "weight_decay": 1e-5,
    "batch_instants": 64,
    "agreement_rounds": 0,
    "steps": 200_000,
}
"""The paper's network and fusion by its own rotations; what the paper does not print (rate, decay,
batch, steps) is ours.
"""


STAGE3: dict[str, Any] = {"shape_weight": 1.0}
"""The defaults of variant stage3; those of the other variants stay as they were."""


def training_config(chosen: str | None, variant: str) -> TrainConfig:
    """The configuration in a JSON file, or `paper`, or the default for None; keys that are not
    given have the defaults, and `variant` overrides the file's. Refusal if the file cannot be read,
    a key or value is wrong, or values do not go together.
    """
    try:
        given: dict[str, Any] = {}
        if chosen == "paper":
            given = PAPER
        elif chosen:
            given = json.loads(Path(chosen).read_text())
        ours = STAGE3 if variant == "stage3" else {}
        config = TrainConfig(**ours | given | {"variant": variant})
    except (OSError, ValueError, TypeError) as error:
        allowed = ", ".join(get_args(Variant))
        where = chosen or f"--variant {variant}"
        raise Refusal(
            f"{where} is no training configuration ({error}); variants are {allowed}, "
            "a configuration is `paper` or a JSON file of TrainConfig"
        ) from error
    _check_together(config)
    return config


def _check_together(config: TrainConfig) -> None:
    """Refusal of values that are each right and do not go together."""
    if config.rotation != "6d" and config.sides_alike:
        raise Refusal(
            f"rotation is {config.rotation}, expected 6d where sides_alike; set sides_alike false"
        )
    if config.stage2_earliest > config.stage2_latest:
        raise Refusal(
            f"stage2_earliest is {config.stage2_earliest}, expected at most stage2_latest "
            f"({config.stage2_latest})"
        )
    made_up = ("mirror_share", "roll_deg", "hidden_share")
    if config.variant == "stage3" and (other := [n for n in made_up if getattr(config, n)]):
        raise Refusal(
            f"{other[0]} is {getattr(config, other[0])} and variant stage3, which projects bodies "
            "again instead; leave it 0"
        )
    if config.rehearsal_weight and config.frames > 1:
        raise Refusal(
            f"rehearsal_weight is {config.rehearsal_weight} and frames {config.frames}; "
            "only single frames are rehearsed, leave it 0"
        )
    if config.frames % 2 == 0:
        raise Refusal(f"frames is {config.frames}, expected an odd number: a window has a middle")
    if config.frames > 1 and config.variant != "stage3":
        raise Refusal(
            f"frames is {config.frames} and variant {config.variant}; "
            "windows are for variant stage3"
        )
    if config.bodies == "virtual" and config.variant != "supervised":
        raise Refusal(
            f"bodies is virtual and variant {config.variant}; "
            "synthetic bodies are for variant supervised"
        )
