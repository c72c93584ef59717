"""`cvsf train-morph`: how a detector's joints differ from the truth's, learned where both are
known.

The loss is L1 over the joints the detector found, by its confidence: its least is at the median, so
what a detector always does is learned, and what it does now and then is left to fusion.
"""

import json
import logging
import math
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import typer
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from cvsf.model.keypoint_adapter import Morph
from cvsf.model.lifter import normalised
from cvsf.shapes import Array
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.checkpoint import write_morph
from train.data.instants import Recordings
from train.data.read import choice
from train.data.splits import KeptBack, Material
from train.evaluation.score_lifter import over_pose_norm
from train.loop.optimise import schedule

log = logging.getLogger(__name__)

STEPS = 4000
BATCH = 256
RATE = 2e-3
_WARM_UP_STEPS = 100
_TIMED = 30
"""Steps that are timed before minutes become a number of steps."""
_LEARNED = 50_000
_REPORTED = 20_000
"""Instants that are learned from and reported on at most, evenly spread over all there are."""


class Poses(NamedTuple):
    """N views of a person whom the detector found and whose joints are known."""

    keypoints_px: Float[Tensor, "N J 2"]
    confidence: Float[Tensor, "N J"]
    truth_px: Float[Tensor, "N J 2"]  # 0 where it is not known
    known: Bool[Tensor, "N J"]

    def rows(self, index: Int[Tensor, "M"]) -> "Poses":
        """The poses with these row numbers, as copies, in that order; IndexError beyond."""
        return Poses(*(part[index] for part in self))


def train_morph(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="multi-view .npz files with truth_px")
    ] = None,
    out: Annotated[Path, typer.Option(help="the morph, for cvsf train --morph")] = Path("morph.pt"),
    dataset: Annotated[
        Path | None, typer.Option(help="folder of Human3.6M, MPI-INF-3DHP or SkiPose-PTZ instead")
    ] = None,
    subjects: Annotated[str, typer.Option(help="learn from these only, separated by commas")] = "",
    not_subjects: Annotated[str, typer.Option(help="learn from all but these")] = "",
    minutes: Annotated[float | None, typer.Option(min=0, help="of computing, at most")] = None,
    threads: Annotated[int, typer.Option(min=1, help="processor threads")] = 1,
    seed: Annotated[int, typer.Option(help="of weights and draws")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Learn to move a detector's joints to where the ground truth's convention has them."""
    if out.is_dir() or (minutes is not None and not 0 < minutes < math.inf):
        raise Refusal(
            f"--out is {out} and --minutes {minutes}, expected a file that is no folder and a "
            "number above 0; give others"
        )
    torch.set_num_threads(threads)
    material = Material(paths or [], dataset, choice(subjects, not_subjects))
    learned, held_out = _prepared(material)
    morph = learn_morph(learned, seed, minutes=minutes)
    facts = report(morph, held_out) | {
        "learned_from": len(learned.confidence),
        "reported_on": len(held_out.confidence),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    write_morph(morph, out, facts)
    typer.echo(json.dumps(facts | {"morph": str(out)} if as_json else facts))


def _prepared(material: Material) -> tuple[Poses, Poses]:
    """Training and evaluation poses: subjects kept back, or the last tenth."""
    kept_back, learned = KeptBack(_REPORTED), KeptBack(_LEARNED)
    for part in material.parts(kept_back):
        if part.truth.keypoints_px is not None:
            learned.add(part)
    kept_back.parts = [part for part in kept_back.parts if part.truth.keypoints_px is not None]
    poses = _known(learned)
    if material.dataset or material.choice.names:
        return poses, _known(kept_back)
    cut = len(poses.confidence) * 9 // 10
    if not cut:
        raise Refusal("one view alone has truth pixels; expected two at least, give more")
    return poses.rows(torch.arange(cut)), poses.rows(torch.arange(cut, len(poses.confidence)))


def _known(gathered: KeptBack) -> Poses:
    """Refusal if nothing of what was gathered is both found and known."""
    if any(len(part) for part in gathered.parts):
        poses = known_poses(gathered.instants())
        if len(poses.confidence):
            return poses
    raise Refusal(
        "no view with a person has truth pixels; a morph is learned from labelled instants, "
        "multi-view files with truth_px or a published dataset"
    )


def known_poses(instants: Recordings) -> Poses:
    """Every view that found the person and of which at least one true pixel is known, instant by
    instant; pixels as in the pictures. True pixels that are not known are 0, and `known` is false
    there. Tensors are copies. The recording must have true keypoints; there may be no such view.
    """
    assert instants.truth.keypoints_px is not None
    known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(instants.truth.keypoints_px).all(-1))
    rows = (instants.confidence > 0).any(-1) & known.any(-1)
    truth: Array = np.where(known[..., None], instants.truth.keypoints_px, np.float32(0))
    return Poses(
        torch.from_numpy(instants.keypoints_px[rows]),
        torch.from_numpy(instants.confidence[rows]),
        torch.from_numpy(truth[rows]),
        torch.from_numpy(known[rows]),
    )


def learn_morph(poses: Poses, seed: int, steps: int = STEPS, minutes: float | None = None) -> Morph:
    """The morph of the detector that found these poses, in evaluation mode; the same for the same
    seed and steps. Joints that the detector never found and the truth has are predicted. `minutes`
    of processor time can only lower the number of steps; it blocks and shows a progress bar on
    standard error.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        morph = Morph(len(H36M_16))
    morph.fills |= (poses.confidence == 0).all(0) & poses.known.any(0)
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(morph.parameters(), lr=RATE)
    if minutes is not None:
        began = time.process_time()
        for _ in range(_TIMED):  # at rate 0, without the random state
            _descend(morph, poses.rows(torch.arange(BATCH) % len(poses.confidence)), optimiser, 0.0)
        took = (time.process_time() - began) / _TIMED
        steps = min(steps, max(1, int(60 * minutes / max(took, 1e-9))))
        optimiser = torch.optim.Adam(morph.parameters(), lr=RATE)
    for step in track(range(steps), "morph", console=Console(stderr=True), transient=True):
        rows = torch.randint(len(poses.confidence), (BATCH,), generator=random)
        rate = RATE * schedule(step, step / steps, min(_WARM_UP_STEPS, steps))
        _descend(morph, poses.rows(rows), optimiser, rate)
    return morph.eval()


def _descend(morph: Morph, batch: Poses, optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    morph_loss(morph, batch).backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def morph_loss(morph: nn.Module, poses: Poses) -> Float[Tensor, ""]:
    """L1 to the truth in radii of the true pose (at least 1 px), no unit: the mean over joints that
    are known, weighted by the morph's confidence. 0 if none is known or confident.
    """
    moved, sure = morph(poses.keypoints_px, poses.confidence)
    _, _, radius = normalised(poses.truth_px, poses.known.to(sure.dtype))
    error = (moved - poses.truth_px).abs().sum(-1) / radius[..., 0].clamp_min(1)
    weight = sure * poses.known
    loss: Tensor = (error * weight).sum() / weight.sum().clamp_min(1e-6)
    return loss


def report(morph: Morph, poses: Poses) -> dict[str, Any]:
    """Median 2D error as a share of the true pose's norm, `before` and `after` the morph, of joints
    that the detector found; `placed` of those that the morph predicts, whose names are `fills`.
    None where there is no such joint.
    """
    with torch.no_grad():
        moved, _ = morph(poses.keypoints_px, poses.confidence)
    truth = torch.where(poses.known[..., None], poses.truth_px, torch.nan).numpy()
    before, after = (
        over_pose_norm(pixels.numpy(), truth) for pixels in (poses.keypoints_px, moved)
    )
    fills = morph.fills.numpy()
    found = ((poses.confidence > 0) & poses.known).numpy() & ~fills
    predicted = poses.known.numpy() & fills
    return {
        "error_2d": {
            "before": _median(before[found]),
            "after": _median(after[found]),
            "placed": _median(after[predicted]),
        },
        "fills": [joint for joint, fill in zip(H36M_16.joints, fills, strict=True) if fill],
    }


def _median(errors: Array) -> float | None:
    return float(np.median(errors)) if errors.size else None
