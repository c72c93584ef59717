"""What `cvsf train` refuses before it reads a recording, for reading may take long.

Errors in the recordings themselves come later.
"""

import math
from pathlib import Path
from tempfile import TemporaryFile

from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.checkpoint import Checkpoint, read_checkpoint
from train.config import OF_THE_MACHINE, TrainConfig
from train.loop.optimise import start

CHECKPOINT = "checkpoint.pt"


def check(
    config: TrainConfig,
    out: Path,
    *,
    seeds: int,
    minutes: float | None,
    parent: Checkpoint | None,
    again: bool,
) -> None:
    """Refusal if a run with these could not start, go on, or be written down: minutes not above 0,
    a parent that does not fit or is needed, a run in `out` without `again` or of another
    configuration. It makes the folder `out` and tries to write there.
    """
    if minutes is not None and not 0 < minutes < math.inf:
        raise Refusal(
            f"--minutes is {minutes:g}, expected a number above 0; without it, all steps run"
        )
    if parent is not None:
        start(config, H36M_16, 0, parent)
    elif config.frames > 1:
        raise Refusal(
            f"frames is {config.frames} and there is no --parent; windows are learned on top of "
            "a lifter of single frames, train one first and give it"
        )
    elif config.rehearsal_weight:
        raise Refusal(
            f"rehearsal_weight is {config.rehearsal_weight} and there is no --parent; "
            "rehearsal needs a parent's answers, give one"
        )
    for path in (out / f"seed-{seed}" / CHECKPOINT for seed in range(seeds)):
        if path.exists():
            if not again:
                raise Refusal(
                    f"{path.parent} holds a run; add --resume to go on with it, "
                    "or give another --out"
                )
            check_same(path, config)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise Refusal(
            f"nothing can be written to {out} ({error.strerror}); give another --out"
        ) from error


def check_same(path: Path, config: TrainConfig) -> Checkpoint:
    """The checkpoint at `path`; Refusal if it is none, or of another joint set or configuration.
    Threads, device and compilation may differ, recordings are not compared.
    """
    found = read_checkpoint(path)
    if found.joint_set != H36M_16.name:
        raise Refusal(
            f"{path} lifts joint set {found.joint_set}, expected {H36M_16.name}; give another --out"
        )
    wanted = config.model_dump()
    names = sorted((wanted.keys() | found.config.keys()) - OF_THE_MACHINE)
    if others := [name for name in names if found.config.get(name) != wanted.get(name)]:
        other = others[0]
        raise Refusal(
            f"{path} was trained with another configuration ({other} was "
            f"{found.config.get(other)!r}, is {wanted.get(other)!r}); "
            "give the same one or another --out"
        )
    return found
