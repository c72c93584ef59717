"""The compiled lifter at work: one instant's 2D poses in, per-view poses and one fused skeleton
out.

It holds none of the method's arithmetic: the graph does, and the manifest beside it says what the
graph is.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

from cvsf.manifest import Manifest, read_manifest, verified_file
from cvsf.messages import MultiviewPose
from cvsf.refusal import Refusal
from cvsf.skeleton import Array, JointSet, joint_set, remap

SHIPPED = Path(__file__).parent / "shipped" / "lifter"
_SEVERE = 3  # onnxruntime's log level "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What the engine says of one instant; view frames are x right, y down, z forward."""

    canonical: (
        Array  # (V, J, 3) body frame: x forward, y left, z up; pelvis at the origin, unit scale
    )
    view_from_canonical: Array  # (V, 3, 3)
    refined_px: Array  # (V, J, 2)
    fused: Array  # (J, 3) body frame, unit scale
    fused_confidence: Array  # (J,)


class Engine:
    """A loaded graph and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _SEVERE
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.manifest = manifest
        self._session = onnxruntime.InferenceSession(
            str(verified_file(folder, manifest)), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [card.name for card in manifest.outputs]
        self._check_tensors(folder)

    @property
    def id(self) -> str:
        """The engine's name in messages and reports."""
        return self.manifest.id

    @property
    def joint_set(self) -> JointSet:
        """The joints it takes and gives."""
        return joint_set(self.manifest.joint_set)

    def lift(self, pose: MultiviewPose) -> Lifted:
        """One instant, any number of views up to the manifest's; another joint set is read as the
        engine's.
        """
        keypoints, confidence = pose.keypoints_px, pose.confidence
        if pose.joint_set != self.manifest.joint_set:
            source = joint_set(pose.joint_set).joints
            keypoints, confidence = remap(keypoints, confidence, source, self.joint_set.joints)
        many = self.lift_many(keypoints[None], confidence[None], pose.image_px[None])
        return Lifted(**{name: array[0] for name, array in many.items()})

    def lift_many(
        self, keypoints_px: Array, confidence: Array, image_px: Array
    ) -> dict[str, Array]:
        """A batch of instants (N, V, ...) in the engine's joint set; outputs (N, ...) by name."""
        views = confidence.shape[1]
        if not 1 <= views <= self.manifest.max_views:
            raise ValueError(f"views is {views}, expected 1 to {self.manifest.max_views}")
        fed = {"keypoints_px": keypoints_px, "confidence": confidence, "image_px": image_px}
        tensors = {
            card.name: np.ascontiguousarray(fed[card.name], dtype=np.float32)
            for card in self.manifest.inputs
        }
        return dict(zip(self._outputs, self._session.run(self._outputs, tensors), strict=True))

    def _check_tensors(self, folder: Path) -> None:
        wanted = [card.name for card in self.manifest.inputs], self._outputs
        found = (
            [tensor.name for tensor in self._session.get_inputs()],
            [tensor.name for tensor in self._session.get_outputs()],
        )
        if found != wanted:
            raise Refusal(
                f"the graph in {folder} has tensors {found[0] + found[1]}, its manifest names "
                f"{wanted[0] + wanted[1]}; compile the engine again"
            )


def load_engine(folder: Path | None = None, threads: int = 1) -> Engine:
    """The engine in a folder, the one inside the package by default; Refusal says why one cannot be
    used.
    """
    folder = folder or SHIPPED
    return Engine(folder, read_manifest(folder), threads)
