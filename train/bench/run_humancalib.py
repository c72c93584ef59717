"""HumanCalib on a session, by the Python of an environment that has it: the cameras and skeletons
that it finds from true camera matrices, the same 2D and our lifter's poses.

`tests/support/peer_environments.py` makes the environment.
"""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.rig import Rig
from cvsf.multiview.weak_perspective import mean_bone
from cvsf.shapes import Real
from cvsf.system.errors import Refusal

_DRIVER = Path(__file__).with_name("humancalib_driver.py")
_MEAN_BONE_M = 0.25  # of an adult: HumanCalib's own lifter gives metres


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerResult:
    """What HumanCalib found."""

    rig: Rig
    """In a world and a unit of its own."""
    joints: Float[Real, "N J 3"]
    """Its triangulation; NaN where it has none."""
    seconds: float
    """Computing time of its steps, without pose estimation and without the start of Python."""


def require_humancalib(python: Path) -> None:
    """Refusal if that Python is none, or does not import HumanCalib."""
    words = [str(python), "-I", "-c", "import humancalib"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Refusal(
            f"--humancalib is {python}, which cannot be run ({error.strerror}); name the Python of "
            "HumanCalib's environment"
        ) from None
    if done.returncode:
        raise Refusal(
            f"{python} does not import humancalib; make an environment: "
            "python -m tests.support.peer_environments FOLDER humancalib"
        )


def run_humancalib(
    python: Path, observations: LiftedObservations, true_rig: Rig
) -> PeerResult | None:
    """The result for still cameras, given their true camera matrices; None if HumanCalib gives up.
    All pictures must be of one size.
    """
    focal_px = np.median(true_rig.focal_px, axis=0)
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in.npz", Path(scratch) / "out.json"
        np.savez(source, allow_pickle=False, **_given(observations, true_rig, focal_px))
        words = [str(python), "-I", str(_DRIVER), str(source), str(out)]
        done = subprocess.run(words, capture_output=True, check=False, cwd=scratch)
        if done.returncode or not out.is_file():
            return None
        found = json.loads(out.read_text())
    rotation, shift = (np.array(found[name], float) for name in ("view_from_world", "translation"))
    rig = Rig.pinhole(
        observations.cameras,
        true_rig.image_px,
        view_from_world=rotation,
        centres=-np.einsum("vji,vj->vi", rotation, shift),
        focal_px=focal_px,
    )
    joints = np.array(found["joints"], float)  # null becomes NaN
    return PeerResult(rig=rig, joints=joints, seconds=float(found["seconds"]))


def _given(
    observations: LiftedObservations, true_rig: Rig, focal_px: Float[Real, "V"]
) -> dict[str, np.ndarray]:
    """The content of the file that the driver reads."""
    K = np.zeros((len(focal_px), 3, 3))
    K[:, 0, 0] = K[:, 1, 1] = focal_px
    K[:, :2, 2], K[:, 2, 2] = true_rig.centre_px, 1
    poses = observations.canonical @ np.swapaxes(observations.view_from_canonical, -1, -2)
    size = mean_bone(poses.astype(float), observations.joint_set)[..., None, None]
    return {
        "keypoints_px": observations.keypoints_px.astype(float),
        "confidence": observations.confidence.astype(float),
        "poses": _MEAN_BONE_M / size * poses,
        "joint_names": np.array(observations.joint_set.joints),
        "K": K,
        "size_px": true_rig.image_px[0],
        "rate_hz": np.array(1 / observations.interval_s),
    }
