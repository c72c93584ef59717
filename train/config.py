"""What a lifter's training is made with: one pydantic model, copied into every run and checkpoint.

A hyperparameter is a value here, never a flag of the command.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Variant = Literal["baseline", "s1", "s1s2", "supervised"]


class TrainConfig(BaseModel):
    """One run of one variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: Variant = "baseline"
    width: int = Field(default=384, gt=0)
    blocks: int = Field(default=3, gt=0)
    threads: int = Field(default=2, gt=0)
    steps: int = Field(default=9000, gt=0)
    batch_instants: int = Field(default=64, gt=0)
    virtual_views: int = Field(default=4, gt=0)  # of a made-up body, supervised only
    rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warm_up_steps: int = Field(default=200, gt=0)
    gradient_norm: float = Field(default=1.0, gt=0)
    mirror_share: float = Field(
        default=0.5, ge=0, le=1
    )  # of recorded instants, label-free variants
    stage2_from: float = Field(
        default=0.5, gt=0, lt=1
    )  # share of a run after which s1s2 changes weights
    checks: int = Field(default=20, gt=0)  # looks at the kept-back instants in a run
    check_instants: int = Field(default=400, gt=0)
