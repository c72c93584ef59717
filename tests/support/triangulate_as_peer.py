"""A peer's own loader and triangulation on a TOML file of cameras; run by the Python of the peer's
environment, so it imports nothing of ours.

`PYTHON -I triangulate_as_peer.py PEER CAMERAS.toml POINTS.npz OUT.json`. POINTS.npz:
`keypoints_px` (V, M, 2), with lens distortion. OUT.json: the points (M, 3) in the file's world.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def as_pose2sim(toml: Path, keypoints_px: Array) -> Array:
    """As `Pose2Sim.triangulation` does with `undistort_points`, all cameras alike."""
    import cv2
    from Pose2Sim.common import computeP, retrieve_calib_params, weighted_triangulation

    lenses, matrices = retrieve_calib_params(toml), computeP(toml, undistort=True)
    straight = np.array(
        [
            cv2.undistortPoints(px.astype(np.float32)[:, None], K, distortion, None, best_K)[:, 0]
            for px, K, distortion, best_K in zip(
                keypoints_px, lenses["K"], lenses["dist"], lenses["optim_K"], strict=True
            )
        ],
        float,
    )
    found = [
        weighted_triangulation(matrices, px[:, 0], px[:, 1], np.ones(len(px)))[:3]
        for px in straight.swapaxes(0, 1)
    ]
    return np.array(found)


def as_aniposelib(toml: Path, keypoints_px: Array) -> Array:
    """As anipose triangulates without a robust or temporal term."""
    from aniposelib.cameras import CameraGroup

    return np.asarray(CameraGroup.load(toml).triangulate(keypoints_px.astype(float)))


def as_caliscope(toml: Path, keypoints_px: Array) -> Array:
    """Linear triangulation with the projection matrices and undistorted points of its cameras."""
    from caliscope.cameras.camera_array import CameraArray

    cameras = [camera for _, camera in sorted(CameraArray.from_toml(toml).cameras.items())]
    equations = []
    for camera, px in zip(cameras, keypoints_px, strict=True):
        P = np.asarray(camera.normalized_projection_matrix, float)
        x, y = np.asarray(camera.undistort_points(px, output="normalized"), float).T[..., None]
        equations += [x * P[2] - P[0], y * P[2] - P[1]]
    found = np.linalg.svd(np.stack(equations, 1))[2][:, -1]
    return np.asarray(found[:, :3] / found[:, 3:])


_AS = {"pose2sim": as_pose2sim, "aniposelib": as_aniposelib, "caliscope": as_caliscope}


def main() -> None:
    peer, toml, source, out = sys.argv[1:]
    with np.load(source, allow_pickle=False) as file:
        keypoints_px = file["keypoints_px"]
    found = _AS[peer](Path(toml), keypoints_px)
    Path(out).write_text(json.dumps(found.tolist()))


if __name__ == "__main__":
    main()
