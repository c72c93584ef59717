"""The compiled lifter: 2D poses of one instant in, canonical poses and one fused skeleton out.

The graph contains the whole method; the manifest beside it describes its tensors. The backend that
runs it is chosen here, with a reason for the report.
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
"""Batch sizes (instants) of TensorRT; other batches are padded to the next one. Guesses, not
measured.
"""
_USUAL_VIEWS = 4  # for which TensorRT optimises a plan; a guess, not measured

Kind = Literal["auto", "onnxruntime", "tensorrt"]
Progress = Callable[[str, float], None]
"""Called with the phase of a plan's build and its share done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """The engine's outputs for one instant; axes of a view are x right, y down, z forward."""

    canonical: Float[Array, "V J 3"]
    """Body frame: x forward, y left, z up; pelvis at the origin, unit scale."""
    view_from_canonical: Float[Array, "V 3 3"]
    refined_px: Float[Array, "V J 2"]
    fused: Float[Array, "J 3"]  # body frame, unit scale
    fused_confidence: Float[Array, "J"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The backend that runs networks on this machine, and the reason."""

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
        """The engine's name, by which the registry and messages know it."""
        return self.manifest.id

    @property
    def joint_set(self) -> JointSet:
        """The joint set of the engine's inputs and outputs."""
        return joint_set(self.manifest.joint_set)

    @property
    def backend(self) -> str:
        """The backend and its version: "onnxruntime cpu", "tensorrt 11.4.0.106 fp16"."""
        return self._session.backend

    def lift(self, pose: MultiviewPose) -> Lifted:
        """The engine's outputs for one instant, from keypoints in px; another joint set is
        converted first. Joints of confidence 0 are allowed, also all of them: the network runs all
        the same. Blocks until the outputs are computed. ValueError for no view, more than
        `max_views`, or an unknown joint set. Refusal after `close`.
        """
        pose = pose.in_joint_set(self.joint_set)
        batch = self.lift_many(pose.keypoints_px[None], pose.confidence[None], pose.image_px[None])
        return Lifted(**{name: array[0] for name, array in batch.items()})

    def lift_many(
        self,
        keypoints_px: Float[Array, "N V J 2"],
        confidence: Float[Array, "N V J"],
        image_px: Float[Array, "N V 2"],
    ) -> dict[str, Float[Array, "N ..."]]:
        """The graph's outputs by name (see `Lifted`) for N instants. Keypoints, in the engine's
        joint set, and picture sizes (width, height) are in px. ValueError for no view, or more
        views than the engine allows; Refusal after `close`.
        """
        views = confidence.shape[1]
        if not 1 <= views <= self.manifest.max_views:
            raise ValueError(f"views is {views}, expected 1 to {self.manifest.max_views}")
        arrays = {"keypoints_px": keypoints_px, "confidence": confidence, "image_px": image_px}
        tensors = {
            card.name: np.ascontiguousarray(arrays[card.name], dtype=np.float32)
            for card in self.manifest.inputs
        }
        return dict(zip(self._outputs, self._session.run(tensors), strict=True))

    def warm(self, views: int) -> None:
        """Run once on zeros with that many views, and wait, so that the first instant is not
        delayed. ValueError for a number that the engine does not allow; Refusal after `close`.
        """
        joints = len(self.joint_set)
        empty = np.zeros((1, views, joints), np.float32)
        self.lift_many(empty[..., None].repeat(2, -1), empty, np.ones((1, views, 2), np.float32))

    def close(self) -> None:
        """Free the network and its memory; later lifts raise Refusal. May be called twice."""
        self._session.close()


def load_engine(
    folder: Path | None = None,
    threads: int = 1,
    *,
    kind: Kind = "onnxruntime",
    plans: Path | None = None,
) -> Engine:
    """The engine in a folder, by default (None) the shipped one; its sha256 is verified, not its
    golden vectors. Refusal if it or `kind` cannot be used; ValueError for TensorRT without `plans`,
    the folder of plans.

    `auto` uses TensorRT only if its plan is built already, else ONNX Runtime; `tensorrt` builds it
    first, which takes seconds to minutes. `threads` are those of ONNX Runtime on the CPU.
    """
    folder = folder or SHIPPED
    if choose(kind).backend == "tensorrt":
        if plans is None:
            raise ValueError(f"plans is None, expected a folder for {kind!r}")
        if kind == "tensorrt" or plan_is_ready(folder, plans):
            return open_tensorrt(folder, plans)
    return Engine(folder, read_manifest(folder), threads)


def choose(kind: Kind) -> Choice:
    """The backend for this machine and the reason. `onnxruntime` is never refused; `auto` takes
    TensorRT if module and GPU are there; `tensorrt` without them is a Refusal. Whether a plan is
    built does not matter.
    """
    provider = "its CUDA provider" if has_cuda() else "the CPU"
    if kind == "onnxruntime":
        return Choice("onnxruntime", f"ONNX Runtime was requested, on {provider}")
    missing = unavailable()
    if missing is None:
        return Choice("tensorrt", "TensorRT and a GPU are available")
    if kind == "tensorrt":
        raise Refusal(f"TensorRT cannot run here: {missing}; take --engine auto or onnxruntime")
    return Choice("onnxruntime", f"ONNX Runtime on {provider}, because {missing}")


def open_tensorrt(
    folder: Path, plans: Path, progress: Progress | None = None, precision: Precision | None = None
) -> Engine:
    """The engine on TensorRT; without an intact plan it is built in a child process first. This
    blocks for seconds to minutes, so call it in another thread. Refusal if engine, TensorRT or
    build fails.

    `plans` is the folder of the cache. `precision` is by default half precision if the engine has
    such a graph. `progress` is called on the calling thread, and only during a build.
    """
    from cvsf.engine.tensorrt_backend import TensorrtSession

    manifest = read_manifest(folder)
    precision = precision or manifest.precisions[-1]
    onnx = verified_file(folder, manifest, precision)
    plan = Plans(plans).plan(onnx, precision, _profile(manifest), progress)
    session = TensorrtSession(plan, [card.name for card in manifest.outputs], BUCKETS, precision)
    return Engine(folder, manifest, precision=precision, session=session)


def plan_is_ready(folder: Path, plans: Path) -> bool:
    """Whether the plan that `open_tensorrt` would take is in the folder `plans`, with the sha256 of
    its building. For this GPU, these versions and the engine's last precision. Builds nothing;
    Refusal if the engine or TensorRT cannot be used.
    """
    manifest = read_manifest(folder)
    precision = manifest.precisions[-1]
    onnx = verified_file(folder, manifest, precision)
    return Plans(plans).is_ready(onnx, precision, _profile(manifest))


def check_golden(engine: Engine, folder: Path) -> float:
    """Run the engine on its golden inputs; returns the largest relative difference of any output to
    the golden one (norm of the difference over norm, no unit, 0 is equal). Refusal if it is above
    the limit of the engine's precision or not a number, or if there are no complete golden vectors.
    """
    golden = read_golden(folder, engine.manifest)
    if golden is None:
        raise Refusal(f"{folder} has no golden vectors; compile the engine again")
    cards = (*engine.manifest.inputs, *engine.manifest.outputs)
    if missing := [card.name for card in cards if card.name not in golden]:
        raise Refusal(f"the golden vectors of {folder} lack {missing[0]}; compile the engine again")
    found = engine.lift_many(**{card.name: golden[card.name] for card in engine.manifest.inputs})
    differences = [
        np.linalg.norm(array - golden[name]) / max(float(np.linalg.norm(golden[name])), 1e-9)
        for name, array in found.items()
    ]
    worst, limit = float(np.max(differences)), GOLDEN_LIMITS[engine.precision]  # NaN where any is
    if not worst <= limit:
        raise Refusal(
            f"{folder} on {engine.backend} differs from its golden vectors by {worst:.1e} "
            f"relative, expected at most {limit:.0e}; compile the engine again"
        )
    return worst


def _profile(manifest: Manifest) -> Profile:
    """The least, usual and largest shape of each input."""
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
