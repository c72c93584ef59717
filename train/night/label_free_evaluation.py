"""Label-free evaluation of an engine on kept-back sessions: the distance of each view's pose from
the body reconstructed by all cameras.

Both engines of a comparison get the same instants and are compared with the same bodies.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int

from cvsf.evaluation.metrics import bone_stability, multiview_agreement, n_mpjpe
from cvsf.shapes import Array, Real
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from train.batches.body_augmentation import UNIT_MM
from train.batches.pseudo_labels import PseudoLabeller
from train.batches.synthetic_motions import everyday
from train.batches.virtual_views import VirtualViews
from train.data.instants import Recordings, joined
from train.data.sessions import read_session
from train.evaluation.score_lifter import Lift, errors, lift_all

log = logging.getLogger(__name__)

_MOST_INSTANTS = 4000  # of a session; a guess, not measured
_BLOCK_S = 1.0
"""Instants nearer than that are not independent of each other; a guess, not measured."""
_REFERENCE_SEED, _REFERENCE_VIEWS = 20260, 4
_PLANE_PX = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Errors of one engine on N instants that two views saw, in shares of trunk and leg."""

    one_view: Float[Real, "N"]  # mean over the views that saw the person
    fused: Float[Real, "N"]
    views_apart: Float[Real, "N"]
    bone_spread: float
    poses: Float[Array, "N V J 3"]  # the pose of each view alone, in its axes

    def means(self) -> dict[str, float]:
        """The means over instants of the label-free metrics, with the keys of the report:
        `one_view_share`, `fused_share`, `views_apart`, and `bone_spread` as it is. NaN if there is
        no instant.
        """
        return {
            "one_view_share": float(self.one_view.mean()),
            "fused_share": float(self.fused.mean()),
            "views_apart": float(self.views_apart.mean()),
            "bone_spread": self.bone_spread,
        }


def with_pseudo_labels(
    folders: Sequence[Path], labeller: PseudoLabeller
) -> tuple[list[Recordings], dict[str, str]]:
    """Sessions with pseudo-labels, only instants that two views saw, and by name the reason for
    each session that has none. Of a long session some 4000 instants are taken, in whole seconds
    spread over it. Nothing is raised for a session that cannot be used.
    """
    labelled, left_out = [], {}
    for folder in folders:
        try:
            recording = joined(list(labeller.parts(_limited(folder))))
        except Refusal as refusal:
            left_out[folder.name] = str(refusal)
            continue
        several = np.any(recording.confidence > 0, axis=-1).sum(-1) > 1
        if several.any():
            labelled.append(recording.take(several))
        else:
            left_out[folder.name] = "no instant has a person in two views that fit each other"
    return labelled, left_out


def _limited(folder: Path) -> Iterable[Recordings]:
    """A session's instants; of a long session, seconds evenly spread over it."""
    recording = joined(list(read_session(folder)) or [_refuse_empty(folder)])
    block = blocks(recording)
    every = -(-len(recording) // _MOST_INSTANTS)
    yield recording.take(block % every == 0)


def _refuse_empty(folder: Path) -> Recordings:
    raise Refusal(f"{folder} holds no 2D poses; record with --record frames or poses")


def blocks(instants: Recordings) -> Int[npt.NDArray[np.int64], "N"]:
    """For each instant the number of its second since the first instant, from 0; empty if there is
    none.
    """
    since = instants.t_s - instants.t_s[:1]
    return np.asarray(since // _BLOCK_S, np.int64)


def evaluate(lift: Lift, session: Recordings) -> Evaluated:
    """The label-free metrics of an engine on a session with pseudo-labels, each instant of which
    two views saw. Errors are at the best scale, in shares of trunk and leg.
    """
    assert session.pseudo_labels is not None
    seen = np.any(session.confidence > 0, axis=-1)
    count, views = seen.shape
    rows = (a.reshape(-1, 1, *a.shape[2:]) for a in _observations(session))
    single = lift_all(lift, *rows)
    canonical = single["canonical"].reshape(count, views, -1, 3)
    rotation = single["view_from_canonical"].reshape(count, views, 3, 3)
    fused = lift_all(lift, *_observations(session))
    poses = canonical @ np.swapaxes(rotation, -1, -2)
    fused_poses = fused["fused"][:, None] @ np.swapaxes(fused["view_from_canonical"], -1, -2)
    return Evaluated(
        one_view=_mean_error(poses, session.pseudo_labels.joints, seen),
        fused=_mean_error(fused_poses, session.pseudo_labels.joints, seen),
        views_apart=np.asarray(multiview_agreement(canonical, session.confidence), np.float64),
        bone_spread=float(bone_stability(fused["fused"], H36M_16).mean()),
        poses=poses,
    )


def _observations(session: Recordings) -> tuple[Array, Array, Array]:
    return session.keypoints_px, session.confidence, session.image_px


def _mean_error(poses: Array, joints: Array, seen: npt.NDArray[np.bool_]) -> Real:
    """Mean joint distance at the best scale (N,), over the views that saw the person."""
    error = np.zeros(seen.shape)
    error[seen] = n_mpjpe(poses[seen].astype(np.float64), joints[seen].astype(np.float64))
    return np.asarray(error.sum(1) / seen.sum(1))


def reference(lift: Lift) -> dict[str, Any]:
    """Errors of single views on everyday movement, in mm of an adult (N-PCK as a share), and the
    number of views: what must not be forgotten.

    The movement and its views are always the same, and are never rehearsed. `lift` is given pixels
    of pictures of unknown size.
    """
    random = torch.Generator().manual_seed(_REFERENCE_SEED)
    bodies = everyday()
    observed = VirtualViews(1000 * bodies, H36M_16, random).observe(bodies, _REFERENCE_VIEWS)
    pixels = (_PLANE_PX * observed.pose2d).flatten(0, 1)[:, None].numpy()
    confidence = observed.confidence.flatten(0, 1)[:, None].numpy()
    single = lift_all(lift, pixels, confidence, np.zeros((len(pixels), 1, 2), np.float32))
    poses = single["canonical"] @ np.swapaxes(single["view_from_canonical"], -1, -2)
    truth = observed.canonical[:, None] @ observed.view_from_canonical.mT
    truth_mm = (UNIT_MM * truth).flatten(0, 1)[:, None].numpy()
    scores = errors(poses, truth_mm, np.any(confidence > 0, axis=-1))
    return {"instants": len(pixels), **scores}
