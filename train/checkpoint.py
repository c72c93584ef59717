"""A training run at rest: weights, optimiser, random state and what they were made from, in one
file.

Only tensors and plain values, so it loads with weights_only; a run continued from it goes on as if
never stopped.
"""

from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from cvsf.model.keypoint_adapter import Morph, morph_from_plain
from cvsf.model.lifter import Lifter, LifterShape
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal

FORMAT = 1
MORPH_FORMAT = "cvsf-morph-1"
WEIGHTS = "lifter.pt"
"""Beside an engine: the checkpoint it was compiled from, without its optimiser."""

_TRAIN_AGAIN = "expected a checkpoint.pt as `cvsf train` wrote it, copy it again or train it again"
_MORPH_AGAIN = "expected a file as `cvsf train-morph` wrote it, copy it again or make it again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything a run needs to go on, and everything an engine's manifest holds."""

    variant: str
    joint_set: str
    shape: dict[str, Any]
    weights: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    sessions: tuple[str, ...] = ()
    sha256: str | None = None  # of the instants it learns from
    parent: str | None = None  # engine it was trained from
    engine: str | None = None  # id of the engine compiled from it
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    seed: int = 0
    step: int = 0
    optimiser: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)  # generator states
    course: dict[str, Any] = field(default_factory=dict)  # how far along it is
    curve: list[dict[str, float]] = field(default_factory=list)
    # cvsf.model.keypoint_adapter, what its detector's joints go through first
    morph: dict[str, Any] | None = None

    def lifter(self) -> Lifter:
        """A new lifter on the CPU with a copy of the checkpoint's weights, in evaluation mode.
        TypeError or RuntimeError if shape and weights do not fit; `read_checkpoint` has checked
        them.
        """
        lifter = Lifter(LifterShape(**self.shape))
        lifter.load_state_dict(self.weights)
        return lifter.eval()

    def morphing(self) -> Morph | None:
        """The keypoint adapter (morph) with its weights, a new one on the CPU; None if it was
        trained without one.
        """
        return None if self.morph is None else morph_from_plain(self.morph)

    def slim(self) -> "Checkpoint":
        """A checkpoint without what only this very run needs to go on (optimiser, random state,
        course, curve): enough to be another run's parent. Weights, scores and morph stay, shared
        and not copied; this one is not changed.
        """
        return replace(self, optimiser={}, random={}, course={}, curve=[])

    def write(self, path: Path) -> None:
        """Write the file, in place of one that is there, atomically: a run that dies while saving
        keeps its last checkpoint. The folder must exist; a draft beside it has the suffix .part.
        """
        draft = path.with_suffix(".part")
        torch.save(asdict(self) | {"format": FORMAT}, draft)
        draft.replace(path)


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file, or in an engine's (`lifter.pt`) or a run's folder (its own, else
    that of seed 0), on the CPU. Refusal if there is none, it is of another format, or its weights
    do not fit its shape. Code in the file is not run.
    """
    if path.is_dir():
        places = (path / name for name in (WEIGHTS, "checkpoint.pt", "seed-0/checkpoint.pt"))
        path = next((place for place in places if place.is_file()), path / WEIGHTS)
    if not path.is_file():
        raise Refusal(f"no checkpoint at {path}; expected a checkpoint.pt written by `cvsf train`")
    found = _loaded(path, "a checkpoint of `cvsf train`", _TRAIN_AGAIN)
    needed = {f.name for f in fields(Checkpoint) if f.default is f.default_factory is MISSING}
    if not isinstance(found, dict) or found.get("format") != FORMAT or not needed <= found.keys():
        raise Refusal(
            f"{path} is not a checkpoint of format {FORMAT} but {_kind(found)}; {_TRAIN_AGAIN}"
        )
    known = {f.name for f in fields(Checkpoint)} & found.keys()
    checkpoint = Checkpoint(**{name: found[name] for name in known})
    try:
        checkpoint.lifter()
        checkpoint.morphing()
    except (TypeError, RuntimeError, AttributeError, KeyError) as error:
        raise Refusal(
            f"{path} holds weights of another network than its shape says; {_TRAIN_AGAIN}"
        ) from error
    return checkpoint


def write_morph(morph: Morph, path: Path, facts: dict[str, Any]) -> None:
    """Write a keypoint adapter and its description `facts` to a file of its own, atomically and in
    place of one that is there; the folder must exist.
    """
    draft = path.with_suffix(".part")
    rest = morph.to_plain() | {"format": MORPH_FORMAT, "joint_set": H36M_16.name, "facts": facts}
    torch.save(rest, draft)
    draft.replace(path)


def read_morph(path: Path) -> Morph:
    """The morph in a file, on the CPU; Refusal if there is no file, or it is not one for the
    lifter's joints or is damaged.
    """
    if not path.is_file():
        raise Refusal(f"no morph at {path}; expected a file written by `cvsf train-morph`")
    found = _loaded(path, "a morph of `cvsf train-morph`", _MORPH_AGAIN)
    if not isinstance(found, dict) or found.get("format") != MORPH_FORMAT:
        raise Refusal(
            f"{path} is not a morph of format {MORPH_FORMAT} but {_kind(found)}; {_MORPH_AGAIN}"
        )
    if found.get("joint_set") != H36M_16.name:
        raise Refusal(
            f"{path} is a morph of joint set {found.get('joint_set')}, expected {H36M_16.name}; "
            "make it again with `cvsf train-morph`"
        )
    try:
        return morph_from_plain(found)
    except (TypeError, RuntimeError, AttributeError, KeyError) as error:
        raise Refusal(f"{path} holds a damaged morph ({error}); {_MORPH_AGAIN}") from error


def _loaded(path: Path, what: str, cure: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the pickle machinery raised
        raise Refusal(f"{path} is not {what} ({type(error).__name__}); {cure}") from error


def _kind(found: Any) -> str:
    """The type of the content of a file, in words."""
    if not isinstance(found, dict):
        return f"a {type(found).__name__}"
    return f"of format {found['format']}" if "format" in found else "of none"
