"""HumanCalib's own command on given poses: run by the Python of HumanCalib's environment, so it
imports nothing of ours.

`PYTHON -I humancalib_driver.py IN.npz OUT.json`. IN.npz: `keypoints_px` (N, V, J, 2), `confidence`
(N, V, J), `poses` (N, V, J, 3) in the axes of each view from any origin, `joint_names` of h36m-16,
`K` (V, 3, 3), `size_px` (2,) and `rate_hz`. OUT.json: rotations and translations of the cameras,
the skeletons (null where not given), the stage that it kept, and its computing time in seconds.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

OPENPOSE_25 = {
    **{"head": 0, "thorax": 1, "rshoulder": 2, "relbow": 3, "rwrist": 4, "lshoulder": 5},
    **{"lelbow": 6, "lwrist": 7, "hip": 8, "rhip": 9, "rknee": 10, "rankle": 11, "lhip": 12},
    **{"lknee": 13, "lankle": 14, "spine": 15},
}
"""The place of each joint of h36m-16 in the skeleton that HumanCalib takes from a detector. Head
and spine stand at the nose and an eye, which have no bone there."""
_JOINTS = 25
_LEAST_CONFIDENCE = 0.5  # HumanCalib's own default


def main(words: Sequence[str]) -> None:
    """Calibrate what IN.npz holds and write OUT.json; what HumanCalib raises passes."""
    source, out = (Path(word) for word in words)
    with np.load(source, allow_pickle=False) as file:
        given = {name: file[name] for name in file.files}
    with tempfile.TemporaryDirectory() as scratch:
        found = calibrated(given, Path(scratch))
    out.write_text(json.dumps(found))


def calibrated(given: dict[str, Array], folder: Path) -> dict[str, Any]:
    """The content of OUT.json, from `humancalib run` with its poses as if cached in the folder."""
    from humancalib import cli
    from humancalib.calibration import ba  # noqa: F401, else its import would be timed
    from humancalib.postprocessing import evaluate_calibration, scale_scene  # noqa: F401

    out = folder / "out"
    write_poses(given, out / cli.SUBSET)
    films, toml = write_films(given, folder / "films"), write_intrinsics(given, folder / "K.toml")
    words = [str(films), str(toml), str(out), "--device", "cpu", "--no_visualize"]
    # poses of its first engine may be cached; there is one detection a view to choose from
    words += ["--pose_engine", "metrabs", "--person_selection", "largest"]
    start_s = _computing_s()
    cli.run_pipeline(cli.parse_run_args(words))
    seconds = _computing_s() - start_s
    kept = json.loads((out / "results" / "summary.json").read_text())["kept_stage"]
    cameras = json.loads((out / "results" / f"{kept}.json").read_text())
    K, R, t = (np.array(cameras[name], float) for name in ("K", "R_w2c", "t_w2c"))
    joints: Array = evaluate_calibration.triangulate_skeleton(
        *read_keypoints(out / cli.SUBSET, len(K)), K, R, t, _LEAST_CONFIDENCE
    )
    at = [OPENPOSE_25[name] for name in given["joint_names"].tolist()]
    return {
        "view_from_world": R.tolist(),
        "translation": t.reshape(-1, 3).tolist(),
        "joints": listed(joints[:, at]),
        "kept_stage": kept,
        "seconds": seconds,
    }


def listed(joints: Array) -> list[Any]:
    """The array as lists, null where it has no number."""
    found = joints.astype(object)
    found[~np.isfinite(joints)] = None
    return list(found.tolist())


def write_poses(given: dict[str, Array], folder: Path) -> None:
    """The files that HumanCalib's pose extraction leaves."""
    views = given["confidence"].shape[1]
    at = [OPENPOSE_25[name] for name in given["joint_names"].tolist()]
    seen = given["confidence"]
    # a pose that is lifted is whole, as those of its own lifter
    lifted = np.broadcast_to(np.any(seen > 0, axis=-1, keepdims=True), seen.shape)
    for name, pose, score in (
        ("2d_joint", given["keypoints_px"], seen),
        ("3d_joint", given["poses"], lifted.astype(float)),
    ):
        (folder / name).mkdir(parents=True)
        for view in range(views):
            placed = np.zeros((len(pose), _JOINTS, pose.shape[-1]))
            scores = np.zeros((len(pose), _JOINTS))
            placed[:, at], scores[:, at] = pose[:, view], score[:, view]
            data = [
                {
                    "frame_index": frame,
                    "skeleton": [{"pose": one.ravel().tolist(), "score": sure.tolist()}],
                }
                for frame, (one, sure) in enumerate(zip(placed, scores, strict=True))
            ]
            (folder / name / pose_file(view)).write_text(json.dumps({"data": data}))


def read_keypoints(folder: Path, views: int) -> tuple[Array, Array]:
    """Keypoints (V, N, 25, 2) and scores (V, N, 25) that HumanCalib has not dropped."""
    files = [json.loads((folder / "2d_joint" / pose_file(v)).read_text()) for v in range(views)]
    bodies = [[frame["skeleton"][0] for frame in file["data"]] for file in files]
    pose, score = (np.array([[b[name] for b in one] for one in bodies]) for name in _ARRAYS)
    return pose.reshape(*score.shape, 2), score


_ARRAYS = ("pose", "score")


def pose_file(view: int) -> str:
    """The name that HumanCalib gives the poses of a camera."""
    return f"A001_P001_G001_C{view + 1:03d}.json"


def write_films(given: dict[str, Array], folder: Path) -> Path:
    """A folder with a film of one picture a camera, from which HumanCalib reads size and rate."""
    import cv2

    folder.mkdir()
    width, height = (int(side) for side in given["size_px"])
    kind = cv2.VideoWriter.fourcc(*"MJPG")
    for view in range(len(given["K"])):
        path = str(folder / f"{_name(view)}.avi")
        film = cv2.VideoWriter(path, kind, float(given["rate_hz"]), (width, height))
        film.write(np.zeros((height, width, 3), np.uint8))
        film.release()
    return folder


def write_intrinsics(given: dict[str, Array], path: Path) -> Path:
    """The file of intrinsics that HumanCalib reads; the poses in it mean nothing."""
    tables = [
        f"[{_name(view)}]\nname = {json.dumps(_name(view))}\n"
        f"size = {[int(side) for side in given['size_px']]}\nmatrix = {K.tolist()}\n"
        "distortions = [0.0, 0.0, 0.0, 0.0, 0.0]\nrotation = [0.0, 0.0, 0.0]\n"
        "translation = [0.0, 0.0, 0.0]\n"
        for view, K in enumerate(given["K"])
    ]
    path.write_text("\n".join(tables))
    return path


def _name(view: int) -> str:
    return f"cam{view:02d}"


def _computing_s() -> float:
    """Computing time of this process and of those that it started and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


if __name__ == "__main__":
    main(sys.argv[1:])
