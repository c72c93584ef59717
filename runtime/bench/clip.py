"""`cvsf bench clip`: a clip through the whole product, scored by a calibration.

The folder holds videos, `cameras.json` (K, R, t_mm per camera) and
`movenet_2d_and_triangulated.npz` (`tri3d_mm`, COCO-17, the calibrated triangulation of one
detector's keypoints: a pseudo ground truth); the product does not get them.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
import typer

from cvsf.engine.engine import load_engine
from cvsf.evaluation.ground_truth import clip_ground_truth
from cvsf.messages import MultiviewPose
from cvsf.session.reader import SessionReader
from cvsf.shapes import Float
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from runtime.bench.contact_sheet import write_sheet
from runtime.bench.harness import run_capture
from runtime.bench.score_views import score

_LIMBS = [
    j for j in H36M_16.joints if j[1:] in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]
_BOX_MARGIN = 0.1  # of the joints' box, as a person is larger; a guess, not measured


def bench_clip(
    folder: Annotated[Path, typer.Argument(help="Videos, cameras.json and the triangulation.")],
    detector: Annotated[str, typer.Option(help="2D bundle: its name or its folder.")],
    sheet: Annotated[Path | None, typer.Option(help="Write pictures with 2D and 3D drawn.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Play a clip through cvsf-capture and score its skeletons."""
    cameras = _read(folder)
    with tempfile.TemporaryDirectory() as data:
        names = ",".join(camera["camera"] for camera in cameras)
        videos = ",".join(str(_video(folder, camera["camera"]).absolute()) for camera in cameras)
        given = ["--cams", str(len(cameras)), "--names", names, "--source", videos]
        session = run_capture([*given, "--detector", detector], Path(data)).session
        result = _score(session, cameras, folder)
        if sheet:
            write_sheet(session, sheet)
    if as_json:
        typer.echo(json.dumps(result))
        return
    typer.echo(f"{result['instants']} instants, person followed in {result['followed_share']:.1%}")
    for name in ("fused", "lifter_fused", "one_view", "calibrated"):
        errors = result[name]
        typer.echo(
            f"{name:<12}N-MPJPE {errors['n_mpjpe_mm']:6.1f}  P-MPJPE {errors['p_mpjpe_mm']:6.1f} mm"
        )


def _read(folder: Path) -> list[dict[str, Any]]:
    try:
        cameras: list[dict[str, Any]] = json.loads((folder / "cameras.json").read_text())
    except (OSError, ValueError) as error:
        raise Refusal(
            f"{folder} has no readable cameras.json ({error}); name a folder that has"
        ) from None
    return cameras


def _video(folder: Path, camera: str) -> Path:
    found = sorted(
        p for p in folder.glob(f"{camera}.*") if p.suffix in (".mp4", ".mov", ".avi", ".mkv")
    )
    if not found:
        raise Refusal(f"{folder} has no video named {camera}; cameras.json names it")
    return found[0]


def _score(session: Path, cameras: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    poses = list(SessionReader(session).poses())
    with np.load(folder / "movenet_2d_and_triangulated.npz") as file:
        world = file["tri3d_mm"].astype(np.float64)[: len(poses)]
    truth = clip_ground_truth(cameras, world)
    assert truth.joints_mm is not None
    followed = _followed(poses, truth.joints_mm, cameras)
    errors = score(load_engine(), SessionReader(session), poses, truth)
    errors["calibrated"] = errors.pop("calibrated_limit")
    return {"instants": len(poses), "followed_share": followed, **errors}


def _followed(
    poses: list[MultiviewPose],
    local: Float[npt.NDArray[np.floating[Any]], "N V J 3"],
    cameras: list[dict[str, Any]],
) -> float:
    """Share of pictures whose box of detected keypoints contains the projected mid-hip."""
    held = []
    for n, pose in enumerate(poses):
        for view, camera in enumerate(cameras):
            hip = local[n, view, H36M_16.index("hip")]
            if not np.isfinite(hip).all():
                continue
            distortion = np.array(camera["distortion"])
            at, _ = cv2.projectPoints(
                hip[None], np.zeros(3), np.zeros(3), np.array(camera["K"]), distortion
            )
            found = pose.keypoints_px[view][pose.confidence[view] > 0]
            if not len(found):
                held.append(False)
                continue
            low, high = found.min(0), found.max(0)
            margin = _BOX_MARGIN * (high - low)
            held.append(
                bool((at[0, 0] >= low - margin).all() and (at[0, 0] <= high + margin).all())
            )
    return round(float(np.mean(held)), 4)
