"""The compiled lifter: one instant's 2D poses in, per-view poses and one fused skeleton out.

The arithmetic of the method is in the graph, which the manifest beside it describes. The backend
that runs the graph is chosen here, with a reason that is reported.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cvsf.engine.manifest import GOLDEN_LIMITS, Manifest, Precision, read_golden, read_manifest
from cvsf.engine.manifest import verified_file as verified_file
from cvsf.engine.onnx_backend import OnnxSession, Session, has_cuda
from cvsf.engine.plan_cache import Plans, Profile
from cvsf.engine.tensorrt_api import unavailable
from cvsf.messages import MultiviewPose
from cvsf.shapes import Array, Float
from cvsf.skeleton import JointSet, joint_set
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "shipped" / "lifter"
BUCKETS = (1, 2, 4, 8, 16)
"""Batch sizes (instants) that TensorRT is prepared for; other batches are padded to the next."""
_USUAL_VIEWS = 4  # that TensorRT tunes a plan for; a guess, not measured

Kind = Literal["auto", "onnxruntime", "tensorrt"]
Progress = Callable[[str, float], None]
"""Called with the phase of building a plan and the share of it that is done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """The engine's outputs for one instant; view frames are x right, y down, z forward."""

    canonical: Float[Array, "V J 3"]
    """Body frame: x forward, y left, z up; pelvis at the origin, unit scale."""
    view_from_canonical: Float[Array, "V 3 3"]
    refined_px: Float[Array, "V J 2"]
    fused: Float[Array, "J 3"]  # body frame, unit scale
    fused_confidence: Float[Array, "J"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend that runs networks on this machine, and why."""

    backend: Literal["onnxruntime", "tensorrt"]
    reason: str


class Engine:
    """A loaded graph and its manifest."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        threads: int = 1,
        *,
        precision: Precision = "fp32",
        session: Session | None = None,
    ) -> None:
        self.manifest = manifest
        self.precision = precision
        self._outputs = [card.name for card in manifest.outputs]
        if session is None:
            path = verified_file(folder, manifest, precision)
            session = OnnxSession(path, self._outputs, threads, is_lean=True)
            _check_tensors(session, manifest, folder)
        self._session = session

    @property
    def id(self) -> str:
        """The engine's name in messages and reports."""
        return self.manifest.id

    @property
    def joint_set(self) -> JointSet:
        """The joints it takes and gives."""
        return joint_set(self.manifest.joint_set)

    @property
    def backend(self) -> str:
        """The backend and its version: "onnxruntime cpu", "tensorrt 11.4.0.106 fp16"."""
        return self._session.backend

    def lift(self, pose: MultiviewPose) -> Lifted:
        """One instant, any number of views up to the manifest's; another joint set is read as the
        engine's.
        """
        pose = pose.in_joint_set(self.joint_set)
        many = self.lift_many(pose.keypoints_px[None], pose.confidence[None], pose.image_px[None])
        return Lifted(**{name: array[0] for name, array in many.items()})

    def lift_many(
        self,
        keypoints_px: Float[Array, "N V J 2"],
        confidence: Float[Array, "N V J"],
        image_px: Float[Array, "N V 2"],
    ) -> dict[str, Float[Array, "N ..."]]:
        """Outputs by name for a batch of instants in the engine's joint set."""
        views = confidence.shape[1]
        if not 1 <= views <= self.manifest.max_views:
            raise ValueError(f"views is {views}, expected 1 to {self.manifest.max_views}")
        fed = {"keypoints_px": keypoints_px, "confidence": confidence, "image_px": image_px}
        tensors = {
            card.name: np.ascontiguousarray(fed[card.name], dtype=np.float32)
            for card in self.manifest.inputs
        }
        return dict(zip(self._outputs, self._session.run(tensors), strict=True))

    def warm(self, views: int) -> None:
        """Run once with so many views, so that the first instant need not wait."""
        joints = len(self.joint_set)
        empty = np.zeros((1, views, joints), np.float32)
        self.lift_many(empty[..., None].repeat(2, -1), empty, np.ones((1, views, 2), np.float32))

    def close(self) -> None:
        """Free the graph and its memory; nothing is lifted afterwards."""
        self._session.close()


def load_engine(
    folder: Path | None = None,
    threads: int = 1,
    *,
    kind: Kind = "onnxruntime",
    plans: Path | None = None,
) -> Engine:
    """The engine in a folder, by default the one inside the package; Refusal if it cannot be used.

    `auto` takes TensorRT only where its plan exists already; `tensorrt` builds it first.
    """
    folder = folder or SHIPPED
    if choose(kind).backend == "tensorrt":
        if plans is None:
            raise ValueError(f"plans is None, expected a folder for {kind!r}")
        if kind == "tensorrt" or plan_is_ready(folder, plans):
            return open_tensorrt(folder, plans)
    return Engine(folder, read_manifest(folder), threads)


def choose(kind: Kind) -> Choice:
    """The backend for this machine and why; Refusal where `kind` is not available."""
    provider = "its CUDA provider" if has_cuda() else "the processor"
    if kind == "onnxruntime":
        return Choice("onnxruntime", f"ONNX Runtime was asked for, on {provider}")
    missing = unavailable()
    if missing is None:
        return Choice("tensorrt", "TensorRT and a GPU are here")
    if kind == "tensorrt":
        raise Refusal(f"TensorRT cannot run here: {missing}; take --engine auto or onnxruntime")
    return Choice("onnxruntime", f"ONNX Runtime on {provider}, for {missing}")


def open_tensorrt(
    folder: Path, plans: Path, progress: Progress | None = None, precision: Precision | None = None
) -> Engine:
    """The engine on TensorRT, its plan built first where there is none yet: seconds to minutes, so
    call it on another thread. Refusal with TensorRT's own message where it fails.

    `precision` is by default half precision where the engine has a graph in it.
    """
    from cvsf.engine.tensorrt_backend import TensorrtSession

    manifest = read_manifest(folder)
    precision = precision or manifest.precisions[-1]
    onnx = verified_file(folder, manifest, precision)
    plan = Plans(plans).plan(onnx, precision, _profile(manifest), progress)
    session = TensorrtSession(plan, [card.name for card in manifest.outputs], BUCKETS, precision)
    return Engine(folder, manifest, precision=precision, session=session)


def plan_is_ready(folder: Path, plans: Path) -> bool:
    """Whether `open_tensorrt` would find its plan, on this machine and with these versions."""
    manifest = read_manifest(folder)
    precision = manifest.precisions[-1]
    onnx = verified_file(folder, manifest, precision)
    return Plans(plans).is_ready(onnx, precision, _profile(manifest))


def check_golden(engine: Engine, folder: Path) -> float:
    """Largest difference of any output to the golden one, relative to its size; Refusal beyond the
    limit of the engine's precision.
    """
    golden = read_golden(folder, engine.manifest)
    if golden is None:
        raise Refusal(f"{folder} has no golden vectors; compile the engine again")
    cards = (*engine.manifest.inputs, *engine.manifest.outputs)
    if missing := [card.name for card in cards if card.name not in golden]:
        raise Refusal(f"the golden vectors of {folder} lack {missing[0]}; compile the engine again")
    found = engine.lift_many(**{card.name: golden[card.name] for card in engine.manifest.inputs})
    apart = [
        np.linalg.norm(array - golden[name]) / max(float(np.linalg.norm(golden[name])), 1e-9)
        for name, array in found.items()
    ]
    worst, limit = float(np.max(apart)), GOLDEN_LIMITS[engine.precision]  # NaN where any is
    if not worst <= limit:
        raise Refusal(
            f"{folder} on {engine.backend} differs from its golden vectors by {worst:.1e} "
            f"relative, expected at most {limit:.0e}; compile the engine again"
        )
    return worst


def _profile(manifest: Manifest) -> Profile:
    """The smallest, usual and largest shape of each input."""
    least, usual, most = (1, 1), (1, _USUAL_VIEWS), (BUCKETS[-1], manifest.max_views)
    joints = len(joint_set(manifest.joint_set))
    fixed = {"B": 0, "V": 1}

    def shape(axes: tuple[str, ...], free: tuple[int, int]) -> tuple[int, ...]:
        return tuple(
            free[fixed[axis]] if axis in fixed else joints if axis == "J" else int(axis)
            for axis in axes
        )

    return {
        card.name: (shape(card.axes, least), shape(card.axes, usual), shape(card.axes, most))
        for card in manifest.inputs
    }


def _check_tensors(session: OnnxSession, manifest: Manifest, folder: Path) -> None:
    wanted = [c.name for c in manifest.inputs], [c.name for c in manifest.outputs]
    found = [t.name for t in session.inputs], [t.name for t in session.outputs]
    if found != wanted:
        raise Refusal(
            f"the graph in {folder} has tensors {found[0] + found[1]}, its manifest names "
            f"{wanted[0] + wanted[1]}; compile the engine again"
        )
    for card, tensor in zip(manifest.inputs, session.inputs, strict=True):
        sides = dict(zip(card.axes, tensor.shape, strict=False))
        if len(tensor.shape) != len(card.axes) or any(isinstance(sides.get(a), int) for a in "BV"):
            raise Refusal(
                f"the graph in {folder} takes {card.name} of {tensor.shape}, expected any number "
                "of instants (B) and views (V); compile the engine again"
            )
