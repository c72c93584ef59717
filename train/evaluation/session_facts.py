"""What `cvsf calibrate` says of each session, and the medians over sessions of the errors of whole
takes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.shared_instants import shared_by_pair, weak_link
from train.evaluation.take_errors import TakeErrors


def session_facts(outcomes: Sequence[CalibrationResult]) -> dict[str, Any]:
    """The keys `per_session`, and of calibrated sessions `delays_s`, `left_out`, `corrected`,
    `standing_out`, `shared_instants`, `weak_link` and `position_within_share`; where there is
    truth, `world` and `world_limit`, medians in mm over the sessions that have such errors.
    """
    rigs = {o.name: o.calibration.rig for o in outcomes if o.calibration is not None}
    facts: dict[str, Any] = {
        "per_session": [_session(outcome) for outcome in outcomes],
        "delays_s": {
            name: {
                camera: round(float(delay), 4)
                for camera, delay in zip(rig.cameras, rig.delay_s, strict=True)
            }
            for name, rig in rigs.items()
        },
        "left_out": {o.name: dict(o.left_out) for o in outcomes if o.left_out},
        "corrected": {o.name: dict(o.corrected) for o in outcomes if o.corrected},
        "lenses": {
            o.name: dict(o.calibration.lenses)
            for o in outcomes
            if o.calibration is not None and o.calibration.lenses
        },
        "standing_out": {
            o.name: {camera: round(ratio, 2) for camera, ratio in o.standing_out.items()}
            for o in outcomes
            if o.standing_out
        },
        "shared_instants": {
            o.name: shared_by_pair(o)
            for o in outcomes
            if o.calibration is not None and o.reconstruction is not None
        },
        "position_within_share": {
            o.name: round(o.calibration.position_within_share, 3)
            for o in outcomes
            if o.calibration is not None and o.calibration.position_within_share is not None
        },
        "weak_link": {o.name: sentence for o in outcomes if (sentence := weak_link(o))},
    }
    if any(outcome.errors for outcome in outcomes):
        for key, whose in (("world", "fused"), ("world_limit", "calibrated_limit")):
            facts[key] = _medians([o.world[whose] for o in outcomes if whose in o.world])
    return facts


def _session(outcome: CalibrationResult) -> dict[str, Any]:
    """What one session has to show; null where there is no truth, or no rig."""
    fused, best = outcome.errors.get("fused"), outcome.errors.get("calibrated_limit")
    world, world_limit = (outcome.world.get(name) for name in ("fused", "calibrated_limit"))
    calibration = outcome.calibration
    moving = None
    if calibration is not None:
        moving = "panning" if calibration.rig.is_panning else "still"
    size_mm, deviation, drift_mm = outcome.cameras.get("size_mm"), None, None
    if calibration is not None:
        deviation, drift_mm = calibration.scale_deviation_share, calibration.world_drift_mm
    nothing = {"n_mpjpe_mm": None, "p_mpjpe_mm": None}
    return {
        "session": outcome.name,
        "refused": outcome.refused or None,
        "moving": moving,
        "noise_share": None if calibration is None else round(calibration.noise_share, 5),
        "still_noise_share": outcome.still_noise and round(outcome.still_noise, 5),
        "duration_s": round(outcome.duration_s, 3),
        **(nothing if fused is None else fused.means),
        "rooted_mm": None if world is None else world.facts["rooted_mm"],
        "place_mm": None if world is None else world.facts["place_mm"],
        "world_drift_mm": None if drift_mm is None else round(drift_mm, 2),
        "scale_source": None if calibration is None else calibration.scale_source,
        "scale_deviation_share": None if deviation is None else round(deviation, 4),
        "metre_error": None if size_mm is None else round(size_mm / 1000 - 1, 4),
        "limit": {
            **(nothing if best is None else best.means),
            "rooted_mm": None if world_limit is None else world_limit.facts["rooted_mm"],
            "place_mm": None if world_limit is None else world_limit.facts["place_mm"],
        },
    }


def _medians(errors: Sequence[TakeErrors]) -> dict[str, float | None]:
    if not errors:
        return {"rooted_mm": None, "place_mm": None}
    return {
        "rooted_mm": round(float(np.median([one.rooted_mm for one in errors])), 2),
        "place_mm": round(float(np.median([one.place_mm for one in errors])), 2),
    }
