"""The processes of the system: what starts them, which ports they bind, how long they live.

Their command lines come from here; docs/architecture.md has the same table.
"""

import sys
from dataclasses import dataclass

FRAMES_PORT, SKELETONS_PORT, WEB_PORT = 5600, 5601, 5602
"""Ports that a hub binds on loopback by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One kind of process."""

    name: str
    module: tuple[str, ...]  # after `python -m`
    started_by: str
    binds: tuple[int, ...] = ()  # TCP ports by default
    lives: str


PROCESSES = (
    Process(
        name="supervisor",
        module=("capture",),
        started_by="you: `cvsf-capture`",
        lives="until its sources end, `--duration` is over or a signal comes",
    ),
    Process(
        name="hub",
        module=("cvsf", "hub"),
        started_by="the supervisor, unless `--hub` names another; or you: `cvsf hub`",
        binds=(FRAMES_PORT, SKELETONS_PORT, WEB_PORT),
        lives="as long as its supervisor, which restarts it; one of yours until a signal",
    ),
    Process(
        name="node",
        module=("cvsf", "node"),
        started_by="the supervisor, one for each camera",
        lives="until its source or its supervisor ends; restarted if it dies",
    ),
    Process(
        name="calibrator",
        module=("runtime.calibration.calibrator_process",),
        started_by="the hub",
        lives="as long as its hub, which restarts it",
    ),
    Process(
        name="plan builder",
        module=("cvsf.engine.plan_builder",),
        started_by="the hub, or `cvsf bench engine`; only with TensorRT",
        lives="for one plan",
    ),
    Process(
        name="night",
        module=("cvsf", "nightly"),
        started_by="a timer, a CronJob or you",
        lives="for one night; a killed one is continued by the next",
    ),
    Process(
        name="training",
        module=("cvsf", "train"),
        started_by="the night (through `torchrun` where there are several), or you",
        lives="for one step of the night, or as long as you let it run",
    ),
)


def command(name: str) -> list[str]:
    """The command line of the process of that name in `PROCESSES`, with this Python interpreter and
    no arguments. ValueError of an unknown name.
    """
    (process,) = (process for process in PROCESSES if process.name == name)
    return [sys.executable, "-m", *process.module]
