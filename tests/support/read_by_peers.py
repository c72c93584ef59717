"""TOML files of cameras that `cvsf calibrate --out` wrote, as others' programs read them.

`python -m tests.support.read_by_peers ENVIRONMENTS OUT`, at the repository root: ENVIRONMENTS was
made by tests.support.peer_environments with pose2sim, aniposelib and caliscope, OUT is the folder
that was given to `--out`. Joints of every session are projected with our rig, lens distortion
included; each peer loads its TOML file and triangulates them. One line a file and peer: the largest
distance from our joints. The exit code is 1 if one is beyond 0.1 mm.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvsf.multiview.calibration import from_plain
from cvsf.multiview.rig import Rig
from tests.support.paths import ROOT
from tests.support.peer_environments import python_of

PEERS = {"pose2sim": ".toml", "aniposelib": ".toml", "caliscope": ".caliscope.toml"}
"""The end of the file that each reads."""
MOST_MM = 0.1
POINTS = 200
_DRIVER = ROOT / "tests" / "support" / "triangulate_as_peer.py"


def inside(rig: Rig, joints: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Some known joints (M, 3) that every picture shows, spread over the session."""
    px = rig.project(joints)
    shown = ((px >= 0) & (px <= rig.image_px[:, None])).all((1, 3))
    points = joints[shown]
    return np.asarray(points[np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int)])


def largest_mm(
    python: Path, peer: str, toml: Path, rig: Rig, points: npt.NDArray[np.float64]
) -> float:
    """The largest distance of the peer's points from ours; CalledProcessError if it fails."""
    keypoints_px = rig.project(points[None])[0]
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "points.npz", Path(scratch) / "found.json"
        np.savez(source, allow_pickle=False, keypoints_px=keypoints_px)
        words = [*map(str, (python, "-I", _DRIVER, peer, toml, source, out))]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=scratch)
        found = np.array(json.loads(out.read_text()), float)
    return float(1000 * np.linalg.norm(found - points, axis=-1).max())


def _has_toml(cameras: Path) -> bool:
    return all(cameras.with_suffix(suffix).is_file() for suffix in PEERS.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    files = sorted(file for file in given.out.absolute().glob("*.json") if _has_toml(file))
    if not files:
        parser.error(f"{given.out} has no .toml file, expected what cvsf calibrate --out wrote")
    is_near = True
    for cameras in files:
        rig = from_plain(json.loads(cameras.read_text())).rig
        with np.load(cameras.with_suffix(".npz"), allow_pickle=False) as file:
            points = inside(rig, file["joints"].astype(float))
        for peer, suffix in PEERS.items():
            toml = cameras.with_suffix(suffix)
            mm = largest_mm(python_of(given.environments.absolute(), peer), peer, toml, rig, points)
            is_near &= mm <= MOST_MM
            k1 = ", ".join(f"{one:+.2f}" for one in rig.distortion[:, 0])
            sys.stdout.write(
                f"{toml.name} {peer}: {mm:.5f} mm at most, {len(points)} points, k1 {k1}\n"
            )
    sys.exit(0 if is_near else 1)


if __name__ == "__main__":
    main()
