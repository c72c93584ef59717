"""The configuration of a night, a pydantic model: its training and its rehearsal."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvsf.system.errors import Refusal
from train.checkpoint import Checkpoint
from train.config import TrainConfig

_NETWORK_KEYS = (
    *("width", "blocks", "head_blocks", "layer_norm", "rotation", "bone_lengths", "sides_alike"),
    "memory",
)


class NightConfig(BaseModel):
    """The configuration of one night."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=1000, gt=0)
    rate: float = Field(default=3e-4, gt=0, allow_inf_nan=False)
    rehearsal_weight: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """Weight of rehearsal (the live engine's answers on synthetic bodies) against the sessions."""
    checks: int = Field(default=10, gt=0)
    threads: int = Field(default=1, gt=0)
    """Of a step beside other work: 0.1 s of processor time with one, 0.68 s with two
    (docs/log.md, 2026-11-23).
    """
    keep_engines: int = Field(default=7, gt=0)
    """Newest engines that stay on disk, beside the live and the previous one."""


def night_config(path: Path | None) -> NightConfig:
    """The configuration in a JSON file, or the default for None; a Refusal names what is wrong: no
    such file, no JSON, an unknown key or a value out of range.
    """
    known = ", ".join(NightConfig.model_fields)
    try:
        return NightConfig.model_validate(json.loads(path.read_text()) if path else {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        why = f"{where}: {first['msg']}"
    except (OSError, ValueError) as error:
        why = str(error)
    raise Refusal(
        f"{path} is not the configuration of a night ({why}); expected JSON with keys of {known}"
    )


def training_of(night: NightConfig, parent: Checkpoint) -> dict[str, Any]:
    """The training configuration as a map: network of the parent, optimisation of the night,
    variant stage3. A parent that does not say its network has the default one.
    """
    network = {n: parent.config[n] for n in _NETWORK_KEYS if n in parent.config}
    config = TrainConfig(
        **network,
        variant="stage3",
        shape_weight=1.0,
        steps=night.steps,
        rate=night.rate,
        rehearsal_weight=night.rehearsal_weight,
        checks=night.checks,
        check_instants=200,
        report_instants=1000,
        threads=night.threads,
    )
    return config.model_dump()
