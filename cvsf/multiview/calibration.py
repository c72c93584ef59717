"""A calibration: a rig, the body it was estimated with, and how well the cameras are known; and its
form in a session's `cameras.json`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.multiview.body import Body, People, people_from_plain, people_to_plain
from cvsf.multiview.lens_distortion import COEFFICIENTS
from cvsf.multiview.rig import Rig, Rows
from cvsf.shapes import Float
from cvsf.skeleton import joint_set

Real = npt.NDArray[np.float64]

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """One standard deviation of each camera, from the covariance of the adjustment."""

    rotation_deg: Float[Real, "V"]
    position_share: Float[Real, "V"]
    """Of the centre, over the mean distance of the person."""
    focal_share: Float[Real, "V"]
    reprojection_px: Float[Real, "V"]
    """Median reprojection error over the observed joints."""
    reprojection_share: Float[Real, "V"]
    """The same over the person's extent."""

    @property
    def reprojection_over_others(self) -> Float[Real, "V"]:
        """`reprojection_share` of each camera over the median of the others; 1 for fewer than
        three cameras, as then neither can be told from the other.
        """
        error = self.reprojection_share
        if len(error) < 3:
            return np.ones(len(error))
        others = [np.median(np.delete(error, view)) for view in range(len(error))]
        return np.asarray(error / np.maximum(others, 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A rig, the body it was estimated with, and the standard deviations."""

    rig: Rig
    body: Body
    uncertainty: Uncertainty
    instants: int  # that it was estimated from
    noise_share: float  # standard deviation of a keypoint over the person's extent
    scale_deviation_share: float | None = None  # one standard deviation of the metre; None: unknown
    world_drift_mm: float | None = None  # of panning cameras, in nine of ten takes; None: unknown
    position_within_share: float | None = None
    """Of two cameras whose lenses are not all known: in nine of ten takes their positions are off
    by at most this share of the distance to the person; None: the standard deviations hold."""
    mirrored: bool = False  # the lifter's poses are reflected in depth before use
    scale_source: str = "unit"  # unit: mean bone 1; else what made the world's unit a metre
    people: People | None = None  # None: one; else `body` is that of the first
    lenses: Mapping[str, str] = field(default_factory=dict)
    """What is known of lenses that are not taken as straight, by camera."""
    lens_drop: float = 0.0
    """Of the fit: by how much one step with free lenses lowers its cost, no unit; not written."""
    ambiguous: str = ""  # a sentence, if the mirror image in depth may be the right one

    def rows(self, rows: Rows) -> Self:
        """The calibration with those instants of a panning rig, or with one as still cameras."""
        return replace(self, rig=self.rig.rows(rows))

    def of_views(self, views: Sequence[int]) -> Self:
        """The calibration of the cameras with these indices; IndexError of an unknown one."""
        uncertainty = {n: getattr(self.uncertainty, n)[list(views)] for n in _UNCERTAINTY_ARRAYS}
        found = replace(self.uncertainty, **uncertainty)
        return replace(self, rig=self.rig.of_views(views), uncertainty=found)


def to_plain(calibration: Calibration) -> dict[str, Any]:
    """The content of a session's `cameras.json`, as maps, lists and numbers."""
    return {
        "schema": SCHEMA,
        "scale_source": calibration.scale_source,
        "scale_deviation_share": calibration.scale_deviation_share,
        "world_drift_mm": calibration.world_drift_mm,
        "position_within_share": calibration.position_within_share,
        "instants": calibration.instants,
        "mirrored": calibration.mirrored,
        "noise_share": calibration.noise_share,
        "cameras": list(calibration.rig.cameras),
        "rig": {name: getattr(calibration.rig, name).tolist() for name in _RIG_ARRAYS}
        | {"radial": calibration.rig.distortion[:, 0].tolist()},
        "joint_set": calibration.body.joint_set.name,
        "bones": calibration.body.bones.tolist(),
        "people": people_to_plain(calibration.people),
        "ambiguous": calibration.ambiguous,
        "lenses": dict(calibration.lenses),
        "sureness": {
            name: getattr(calibration.uncertainty, name).tolist() for name in _UNCERTAINTY_ARRAYS
        },
    }


def from_plain(plain: dict[str, Any]) -> Calibration:
    """The calibration that `to_plain` wrote; ValueError names what is missing or does not fit."""
    try:
        if plain["schema"] != SCHEMA:
            raise ValueError(f"cameras have schema {plain['schema']}, expected {SCHEMA}")
        arrays = plain["rig"]
        if "distortion" not in arrays:  # files before it have k1 alone
            k1 = np.array(arrays["radial"], float)
            arrays = arrays | {"distortion": k1[:, None] * np.eye(COEFFICIENTS)[0]}
        rig = {name: np.array(arrays[name], float) for name in _RIG_ARRAYS}
        if len(set(plain["cameras"])) != len(plain["cameras"]):
            raise ValueError("two cameras have the same name")
        _require_shapes(rig, len(plain["cameras"]))
        deviations = {
            name: np.array(plain["sureness"][name], float) for name in _UNCERTAINTY_ARRAYS
        }
        return Calibration(
            rig=Rig(cameras=tuple(plain["cameras"]), **rig),
            body=Body(
                joint_set=joint_set(plain["joint_set"]), bones=np.array(plain["bones"], float)
            ),
            uncertainty=Uncertainty(**deviations),
            instants=int(plain["instants"]),
            scale_deviation_share=None if (scale := plain.get(_SCALE)) is None else float(scale),
            world_drift_mm=None if (drift := plain.get(_DRIFT)) is None else float(drift),
            position_within_share=None if (place := plain.get(_PLACE)) is None else float(place),
            mirrored=bool(plain["mirrored"]),
            noise_share=float(plain["noise_share"]),
            scale_source=str(plain["scale_source"]),
            people=people_from_plain(plain.get("people"), joint_set(plain["joint_set"])),
            ambiguous=str(plain.get("ambiguous", "")),
            lenses={str(name): str(what) for name, what in plain.get("lenses", {}).items()},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"cameras: {error} is missing or malformed") from error


def _require_shapes(rig: dict[str, Real], views: int) -> None:
    instants = rig["focal_px"].shape[:-1]
    if rig["focal_px"].shape[-1:] != (views,) or not (rig["focal_px"] > 0).all():
        raise ValueError(f"cameras: focal_px is {rig['focal_px'].shape}, expected {views} above 0")
    for name, per_instant, shape in (
        ("image_px", False, (views, 2)),
        ("view_from_world", True, (views, 3, 3)),
        ("translation", True, (views, 3)),
        ("focal_px", True, (views,)),
        ("centre_px", False, (views, 2)),
        ("distortion", False, (views, COEFFICIENTS)),
        ("delay_s", False, (views,)),
    ):
        wanted = (*instants, *shape) if per_instant else shape
        if rig[name].shape != wanted or not np.isfinite(rig[name]).all():
            raise ValueError(f"cameras: {name} is {rig[name].shape}, expected numbers {wanted}")
    rotation = rig["view_from_world"]
    if not np.allclose(rotation @ np.swapaxes(rotation, -1, -2), np.eye(3), atol=1e-3):
        raise ValueError("cameras: view_from_world is not a rotation")


_RIG_ARRAYS = tuple(array.name for array in fields(Rig) if array.name != "cameras")
_UNCERTAINTY_ARRAYS = tuple(array.name for array in fields(Uncertainty))
# not in older files
_SCALE, _DRIFT, _PLACE = "scale_deviation_share", "world_drift_mm", "position_within_share"
