"""A rig and a calibration made up by hand, for what reads, writes, moves or refuses one."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.multiview.body import Body
from cvsf.multiview.calibration import Calibration, Uncertainty
from cvsf.multiview.rig import Rig
from cvsf.multiview.rotation import rotation_from_vector
from cvsf.skeleton import H36M_16
from tests.support.level_cameras import bent, rotations_around

Real = npt.NDArray[np.float64]


def made_rig(views: int = 3, instants: int | None = None, radial: float = 0.0) -> Rig:
    """Cameras 20 units from the origin, all around it; with `instants`, they pan and zoom."""
    angle = 2 * np.pi * np.arange(views) / views + 0.4
    rotation = rotations_around(angle)
    translation, focal = np.tile([0.0, 0.0, 20.0], (views, 1)), np.linspace(1100.0, 1300.0, views)
    if instants is not None:
        sway = np.linspace(-0.1, 0.1, instants)[:, None, None] * [0.0, 1.0, 0.0]
        centres = -np.einsum("vji,vj->vi", rotation, translation)
        rotation = np.asarray(rotation_from_vector(sway) @ rotation, float)
        translation = -np.einsum("nvij,vj->nvi", rotation, centres)
        focal = focal + 10.0 * np.arange(instants)[:, None]
    return Rig(
        cameras=tuple(f"cam{view}" for view in range(views)),
        image_px=np.tile([1920.0, 1080.0], (views, 1)),
        view_from_world=rotation,
        translation=translation,
        focal_px=focal,
        centre_px=np.tile([960.0, 540.0], (views, 1)),
        distortion=bent([radial] * views),
        delay_s=np.linspace(0.0, 0.02, views),
    )


def calibration_of(rig: Rig, *, uncertainty: float = 0.0, **changes: Any) -> Calibration:
    """Of that rig and bones of length 1, with the same uncertainty of everything."""
    same = np.full(len(rig.cameras), uncertainty)
    calibration = Calibration(
        rig=rig,
        body=Body(joint_set=H36M_16, bones=np.ones(len(H36M_16.bones))),
        uncertainty=Uncertainty(**dict.fromkeys((f.name for f in fields(Uncertainty)), same)),
        instants=1,
        noise_share=0.01,
    )
    return replace(calibration, **changes)


def made_calibration(
    rig: Rig | None = None, *, bones: Real | None = None, noise_share: float = 0.01, **sure: Any
) -> Calibration:
    """Of that rig, all cameras known well but for what `sure` gives of Uncertainty."""
    rig = made_rig() if rig is None else rig
    views = len(rig.cameras)
    known = {
        "rotation_deg": 0.5,
        "position_share": 0.02,
        "focal_share": 0.03,
        "reprojection_px": 3.0,
        "reprojection_share": 0.01,
    }
    arrays = {name: np.full(views, value) for name, value in known.items()} | sure
    lengths = np.linspace(0.5, 1.5, len(H36M_16.bones)) if bones is None else bones
    return Calibration(
        rig=rig,
        body=Body(joint_set=H36M_16, bones=lengths),
        uncertainty=Uncertainty(
            **{name: np.asarray(array, float) for name, array in arrays.items()}
        ),
        instants=40,
        noise_share=noise_share,
    )
