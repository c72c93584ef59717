"""Tables of `cvsf calibrate`: the cameras of a session, and the scores of many sessions.

Every figure stands beside the one that it is compared with.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cvsf.diagnosis.calibrate_take import SPANS
from train.evaluation.calibrate_and_score import CalibrationResult

_ROWS = {
    "fused": "self-calibrated",
    "calibrated_limit": "true cameras (the limit)",
    "lifter_fused": "fusion by the lifter",
    "mean_of_canonical": "mean of the canonical poses",
}
_TAKES = {"fused": "world", "calibrated_limit": "world_limit"}
"""Where the errors of whole takes stand; fused poses of the lifter are in no world."""


def show_rig(outcome: CalibrationResult, console: Console | None = None) -> None:
    """Print a table of one session's cameras, with their standard deviations, to standard output or
    `console`; nothing for a session that was refused. Panning cameras have the median over time.
    """
    calibration = outcome.calibration
    if calibration is None:
        return
    console = console or Console()
    metres = f"metres by {calibration.scale_source}"
    if calibration.scale_deviation_share is not None:
        metres += f" ± {100 * calibration.scale_deviation_share:.1f}%"
    table = Table(title=f"{outcome.name}, {metres}", title_justify="left")
    columns = (
        "camera",
        "focal px",
        "x, y m",
        "up m",
        "± place %",
        "± turn °",
        "error px",
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    rig, uncertainty = calibration.rig, calibration.uncertainty
    centres = rig.centres.reshape(-1, len(rig.cameras), 3)
    focal = rig.focal_px.reshape(-1, len(rig.cameras))
    for view, camera in enumerate(rig.cameras):
        x, y, up = np.median(centres[:, view], axis=0)
        table.add_row(
            camera,
            f"{np.median(focal[:, view]):.0f} ± {100 * uncertainty.focal_share[view]:.0f}%",
            f"{x:.2f}, {y:.2f}",
            f"{up:.2f}",
            f"{100 * uncertainty.position_share[view]:.1f}",
            f"{uncertainty.rotation_deg[view]:.1f}",
            f"{uncertainty.reprojection_px[view]:.1f}",
        )
    console.print(table)
    if rig.is_panning:
        noise = f"the cameras pan or zoom: keypoints are off by {calibration.noise_share:.1%} of "
        still = outcome.still_noise
        instead = "" if still is None else f", by {still:.1%} if they stood still"
        console.print(f"{noise}the person{instead}", highlight=False)
    if calibration.world_drift_mm is not None:
        console.print(
            f"drift of the world: at most {calibration.world_drift_mm:.0f} mm per joint in nine of "
            "ten takes, hips put together",
            highlight=False,
        )
    if rig.delay_s.any():
        delays = ", ".join(
            f"{camera} {1e3 * delay:+.1f} ms"
            for camera, delay in zip(rig.cameras, rig.delay_s, strict=True)
        )
        console.print(f"time offsets: {delays}", highlight=False)


def show_summary(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `summary` gave, with the number of views: scores, refusals and computing time of
    all sessions, to standard output or `console`; of a single session of three or more cameras also
    the instants that each two share.
    """
    console = console or Console()
    console.print(
        f"{facts['sessions']} sessions of {facts['views']} views, "
        f"{facts['sessions_calibrated_share']:.1%} calibrated, "
        f"{facts['seconds_per_session']:.2f} s of computing each",
        highlight=False,
    )
    if "fused" in facts and facts["fused"]["n_mpjpe_mm"] is not None:
        console.print(_errors(facts))
    if "focal_error_median" in facts:
        console.print(
            f"focal length error {facts['focal_error_median']:.1%}, camera centre error "
            f"{facts['centre_error_share']:.1%} of the largest distance between two (medians)",
            highlight=False,
        )
    for name, pairs in facts.get("shared_instants", {}).items():
        if facts["sessions"] == 1 and len(pairs) > 1:
            console.print(_shared(name, pairs), soft_wrap=True)
    for sentence in _sentences(facts):
        console.print(sentence, highlight=False)


def _sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """What is said of single sessions and of their cameras."""
    for name, reason in facts["refused"].items():
        yield f"refused {name}: {reason}"
    for name, cameras in facts.get("left_out", {}).items():
        for camera, reason in cameras.items():
            left_out = "" if reason.startswith(SPANS) else "left out, "
            yield f"{name}: {camera} {left_out}{reason}"
    for name, cameras in facts.get("corrected", {}).items():
        for camera, what in cameras.items():
            yield f"{name}: {camera} {what}"
    for name, cameras in facts.get("lenses", {}).items():
        for camera, what in cameras.items():
            yield f"{name}: {camera} {what}"
    for name, cameras in facts.get("standing_out", {}).items():
        for camera, ratio in cameras.items():
            yield (
                f"{name}: {camera} stands out, its reprojection error is {ratio:.1f} times that of "
                "the others; look at its picture"
            )
    for name, sentence in facts.get("weak_link", {}).items():
        yield f"{name}: {sentence}"
    for name, share in facts.get("position_within_share", {}).items():
        yield (
            f"{name}: do not trust the positions of the two cameras: they may be off by "
            f"{share:.0%} of the distance to the athlete (skeletons are hardly affected); give "
            "their lenses with --intrinsics, or add a camera"
        )
    for name, people in facts.get("people", {}).items():
        yield f"{name}: {people} people one after another"
    for name, sentence in facts.get("ambiguous", {}).items():
        yield f"{name}: {sentence}"
    for name, ratio in facts["failed"].items():
        yield f"failed {name}: {ratio} of its limit"


def _errors(facts: Mapping[str, Any]) -> Table:
    """Means over views of instants, and medians over sessions of the errors of whole takes."""
    table = Table()
    columns = "all views together", "N-MPJPE mm", "P-MPJPE mm", "rooted mm", "place mm"
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for name, what in _ROWS.items():
        if name in facts and facts[name]["n_mpjpe_mm"] is not None:
            take = facts.get(_TAKES.get(name, ""), {})
            cells = [facts[name][key] for key in ("n_mpjpe_mm", "p_mpjpe_mm")]
            cells += [take.get(key) for key in ("rooted_mm", "place_mm")]
            table.add_row(what, *("" if cell is None else f"{cell:.1f}" for cell in cells))
    return table


def _shared(name: str, pairs: Mapping[str, Mapping[str, int]]) -> Table:
    """The instants that each camera shares with each later one; `pairs` has no row of the last."""
    table = Table(title=f"{name}, instants that two cameras share", title_justify="left", box=None)
    later = list(next(iter(pairs.values())))
    table.add_column("", no_wrap=True)
    for camera in later:
        table.add_column(camera, justify="right", no_wrap=True)
    for camera, shared in pairs.items():
        table.add_row(camera, *(str(shared.get(other, "")) for other in later))
    return table
