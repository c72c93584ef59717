"""The table of faults in docs/accuracy.md: what `calibrate_take` makes of takes with one fault.

    python -m tests.support.measure_faults [--sessions 10] [--seed SEED] [--faults PART-OF-NAME]

Wrong is: accepted, and the rooted error is beyond 1.5 of the limit, which is triangulation with the
true cameras from the 2D before the fault. Prints its random seed, a line a take and the table.
"""

import argparse
import secrets
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np

from cvsf.calibration.degeneracy import Undetermined
from cvsf.diagnosis.calibrate_take import CalibratedTake, calibrate_take
from cvsf.engine.engine import load_engine
from cvsf.multiview.observations import LiftedObservations, lift_observations
from cvsf.multiview.rotation import align
from cvsf.multiview.triangulation import projection_of, triangulate
from cvsf.skeleton import H36M_16
from tests.support.faulty_takes import FAULTS, IMAGE_PX, Array, FaultyTake, Motions

_SUBJECTS = "cmu_02", "cmu_05", "cmu_07"
_WRONG = 1.5
_WITHIN_FRAMES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one take."""

    verdict: str
    said: str
    rooted_mm: float = np.nan
    limit_mm: float = np.nan
    delays_found: bool | None = None  # None where there is none


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--faults", default="")
    options = parser.parse_args()
    _say(f"seed {options.seed}")
    motions, engine = Motions(_SUBJECTS), load_engine(None)
    rows = []
    for number, (name, (views, fault)) in enumerate(FAULTS.items()):
        if options.faults not in name:
            continue
        found = []
        for session in range(options.sessions):
            random = np.random.default_rng([options.seed, number, session])
            take = motions.take(random, views)
            fault(take, motions, random)
            found.append(_outcome(take, engine.lift_many))
            one = found[-1]
            _say(
                f"{name} {session} {take.bad}: {one.verdict}, rooted {one.rooted_mm:.1f} of "
                f"{one.limit_mm:.1f} mm; {one.said}",
            )
        rows.append(_row(name, found))
    _say("| fault | corrected | left out | refused | wrong | delays found | rooted / limit |")
    _say("\n".join(["|---|---|---|---|---|---|---|", *rows]))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _row(name: str, found: list[Outcome]) -> str:
    count = Counter(one.verdict for one in found)
    delays = [one.delays_found for one in found if one.delays_found is not None]
    ratio = [one.rooted_mm / one.limit_mm for one in found if np.isfinite(one.rooted_mm)]
    cells = [count[verdict] for verdict in ("corrected", "left out", "refused", "wrong")]
    share = f"{sum(delays)} of {len(delays)}" if delays else ""
    middle = f"{np.median(ratio):.2f} (most {max(ratio):.2f})" if ratio else ""
    return "| " + " | ".join([name, *map(str, cells), share, middle]) + " |"


def _outcome(take: FaultyTake, lift: object) -> Outcome:
    observations = _lifted(take, lift)
    try:
        found = calibrate_take(observations)
    except Undetermined as reason:
        delays = False if take.delay_s.any() else None
        return Outcome(verdict="refused", said=str(reason), delays_found=delays)
    views = [observations.cameras.index(camera) for camera in found.calibration.rig.cameras]
    delay_s = found.calibration.rig.delay_s
    late_s = take.delay_s[views] - delay_s
    shift = round(float(np.median(late_s)) * take.fps)  # the clock of our instants
    rooted_mm, limit_mm = _rooted_mm(found, take, shift), _limit_mm(take)
    delays_found = None
    if take.delay_s.any():
        error = np.abs(late_s - np.median(late_s)) * take.fps
        delays_found = len(views) == len(take.delay_s) and bool((error < _WITHIN_FRAMES).all())
    verdict = "left out" if found.left_out else "corrected"
    return Outcome(
        verdict="wrong" if rooted_mm > _WRONG * limit_mm else verdict,
        said=str({**found.left_out, **found.corrected}),
        rooted_mm=rooted_mm,
        limit_mm=limit_mm,
        delays_found=delays_found,
    )


def _lifted(take: FaultyTake, lift: object) -> LiftedObservations:
    count, views = take.confidence.shape[:2]
    size = np.broadcast_to(take.size_px, (count, views, 2)).astype(np.float32)
    assert callable(lift)
    return lift_observations(
        lift,
        H36M_16,
        tuple(f"cam{view}" for view in range(views)),
        np.arange(count) / take.fps,
        (take.keypoints_px.astype(np.float32), take.confidence.astype(np.float32), size),
    )


def _rooted_mm(found: CalibratedTake, take: FaultyTake, shift: int) -> float:
    joints = found.reconstruction.joints
    rows = np.arange(len(joints)) + shift
    usable = (rows >= 0) & (rows < len(take.world_mm))
    return _after_similarity(joints[usable], take.world_mm[rows[usable]])


def _limit_mm(take: FaultyTake) -> float:
    centre = np.tile(np.array([IMAGE_PX]) / 2, (take.R.shape[1], 1))
    projection = projection_of(take.R, take.t_mm, take.focal_px, centre)
    keypoints, confidence = (array.astype(float) for array in take.before)
    return _after_similarity(
        np.asarray(triangulate(keypoints, confidence, projection)), take.world_mm
    )


def _after_similarity(joints: Array, truth: Array) -> float:
    """Mean joint error after one similarity, hips together."""
    known = np.isfinite(joints).all((1, 2))
    a, b = joints[known].reshape(-1, 3), truth[known].reshape(-1, 3)
    a = align(a, b, np.ones(len(a)), scale=True).apply(a).reshape(-1, *truth.shape[1:])
    b = b.reshape(a.shape)
    return float(np.linalg.norm(a - a[:, :1] - b + b[:, :1], axis=-1).mean())


if __name__ == "__main__":
    main()
