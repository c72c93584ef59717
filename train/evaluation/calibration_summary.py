"""The scores of many sessions, with the keys of `cvsf calibrate`.

A refused session is a failure: it is left out of the means, except of `all_sessions`, which takes
the fusion by the lifter for it.
"""

import resource
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.evaluation.calibrate_and_score import CalibrationResult
from train.evaluation.calibration_errors import Errors
from train.evaluation.session_facts import session_facts

_WITHIN = 2.0  # times the limit; the key `within_2_share`
_LONG_S = 3.0  # the keys `sessions_of_3_s*`


def summary(outcomes: Sequence[CalibrationResult]) -> dict[str, Any]:
    """The scores of at least one session with the keys of `cvsf calibrate`; errors are means (mm)
    over views and instants, focal and centre errors medians over cameras and sessions. Scores are
    absent without any ground truth, those of cameras without true cameras.
    """
    calibrated = [outcome for outcome in outcomes if outcome.calibration is not None]
    long = [outcome for outcome in outcomes if outcome.duration_s >= _LONG_S]
    facts: dict[str, Any] = {
        "sessions": len(outcomes),
        "sessions_calibrated_share": _share([o.succeeded for o in outcomes]),
        "sessions_of_3_s": len(long),
        "sessions_of_3_s_calibrated_share": _share([o.succeeded for o in long]),
        "refused": {o.name: o.refused for o in outcomes if o.calibration is None},
        "failed": {
            o.name: round(o.worst_over_limit, 2)
            for o in calibrated
            if not o.succeeded and o.worst_over_limit is not None
        },
        "scale_source": sorted(
            {o.calibration.scale_source for o in calibrated if o.calibration is not None}
        ),
        "seconds_per_session": _rounded(np.mean([o.seconds for o in outcomes])),
        "triangulation_seconds_per_session": None,
        "seconds_over_triangulation": None,
        "seconds_over_length": _over_length(outcomes),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
    } | session_facts(outcomes)
    if calibrated:
        spent = sum(o.seconds for o in calibrated), sum(o.triangulation_s for o in calibrated)
        facts["triangulation_seconds_per_session"] = _rounded(spent[1] / len(calibrated))
        facts["seconds_over_triangulation"] = _rounded(spent[0] / max(spent[1], 1e-9))
    if any(o.errors for o in outcomes):
        facts |= _scores(outcomes, calibrated)
    return facts


def _scores(
    outcomes: Sequence[CalibrationResult], calibrated: Sequence[CalibrationResult]
) -> dict[str, Any]:
    """Errors over the calibrated sessions, and the limit over all sessions."""
    facts: dict[str, Any] = {
        name: _pooled(calibrated, name)
        for name in ("fused", "calibrated_limit", "lifter_fused", "mean_of_canonical")
    }
    over = [o.over_limit for o in calibrated if o.over_limit is not None]
    facts["within_2_share"] = (
        sum(ratio <= _WITHIN for ratio in over) / len(outcomes) if over else None
    )
    facts["fused_over_limit_median"] = _rounded(np.median(over)) if over else None
    facts["all_sessions"] = {  # of a refused one: fusion by the lifter
        "fused": _means([o.errors.get("fused", o.errors["lifter_fused"]) for o in outcomes]),
        "calibrated_limit": _pooled(outcomes, "calibrated_limit"),
    }
    scored = [o.cameras for o in calibrated if o.cameras]
    return facts | (_camera_scores(scored) if scored else {})


def _camera_scores(scored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Camera errors of the sessions whose true cameras are known."""
    focal, centre = np.concatenate([c["focal"] for c in scored]), [c["centre"] for c in scored]
    return {
        "focal_error_median": _rounded(np.median(focal)),
        "focal_error_mean": _rounded(np.mean(focal)),
        "centre_error_share": _rounded(np.median(centre)),
        "centre_error_share_mean": _rounded(np.mean(centre)),
        "up_error_deg": _rounded(np.median([c["up_deg"] for c in scored])),
        "metre_error": _rounded(np.median([abs(c["size_mm"] / 1000 - 1) for c in scored])),
        "reprojection_px": _medians([c["reprojection"] for c in scored]),
        "bone_spread_mm": {
            bone: _medians([c["bones"][bone] for c in scored]) for bone in scored[0]["bones"]
        },
    }


def _over_length(outcomes: Sequence[CalibrationResult]) -> float | None:
    """Computing time over the length of the recordings; None if they have no length."""
    length_s = sum(o.duration_s for o in outcomes)
    return _rounded(sum(o.seconds for o in outcomes) / length_s) if length_s else None


def _medians(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(float(np.median([f[name] for f in found])), 2) for name in found[0]}


def _pooled(outcomes: Sequence[CalibrationResult], name: str) -> dict[str, float | None]:
    return _means([o.errors[name] for o in outcomes if name in o.errors])


def _means(errors: Sequence[Errors]) -> dict[str, float | None]:
    return sum(errors, Errors(n_mm=0.0, p_mm=0.0, count=0)).means


def _share(marks: Sequence[bool]) -> float | None:
    return round(sum(marks) / len(marks), 4) if marks else None


def _rounded(value: Any) -> float:
    return round(float(value), 4)
