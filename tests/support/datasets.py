"""Tiny datasets in exactly the layouts of the published ones, and one detector that watched them.

Two bodies of bones and names stand among cameras whose geometry is known, so what a reader gives
can be projected and compared.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import scipy.io
from cdflib.cdfwrite import CDF
from scipy.spatial.transform import Rotation

from cvsf.skeleton import COCO_17, MPII_16, JointSet
from train.data.human36m import CAMERAS, SUBJECTS
from train.data.mpi_inf_3dhp import CAMERAS as CHEST_HIGH
from train.data.mpi_inf_3dhp import SEQUENCES, TEST_SEQUENCES, TEST_SET

FRAMES = 70
"""More than the stride of Human3.6M's test split."""

STANDING = {
    "hip": (0, 0, 950),
    "rhip": (0, -130, 950),
    "rknee": (30, -140, 500),
    "rankle": (0, -140, 80),
    "lhip": (0, 130, 950),
    "lknee": (30, 140, 500),
    "lankle": (0, 140, 80),
    "spine": (0, 0, 1180),
    "thorax": (0, 0, 1420),
    "neck": (40, 0, 1520),
    "head": (10, 0, 1640),
    "lshoulder": (0, 170, 1400),
    "lelbow": (20, 260, 1130),
    "lwrist": (120, 250, 900),
    "rshoulder": (0, -170, 1400),
    "relbow": (20, -260, 1130),
    "rwrist": (120, -250, 900),
    "nose": (90, 0, 1560),
    "leye": (80, 35, 1590),
    "reye": (80, -35, 1590),
    "lear": (10, 75, 1570),
    "rear": (10, -75, 1570),
}
"""A body in mm that looks along x, its left at y; z is up."""
H36M_32 = (
    *("hip", "rhip", "rknee", "rankle", "rankle", "rankle"),
    *("lhip", "lknee", "lankle", "lankle", "lankle"),
    *("hip", "spine", "thorax", "neck", "head"),
    *("thorax", "lshoulder", "lelbow", "lwrist", "lwrist", "lwrist", "lwrist", "lwrist"),
    *("thorax", "rshoulder", "relbow", "rwrist", "rwrist", "rwrist", "rwrist", "rwrist"),
)
"""What Human3.6M records, by the names of ours it comes nearest."""
MPI_28 = (
    *("thorax", "thorax", "spine", "spine", "hip", "thorax", "neck", "head"),
    *("lshoulder", "lshoulder", "lelbow", "lwrist", "lwrist"),
    *("rshoulder", "rshoulder", "relbow", "rwrist", "rwrist"),
    *("lhip", "lknee", "lankle", "lankle", "lankle"),
    *("rhip", "rknee", "rankle", "rankle", "rankle"),
)
MPI_17 = (
    *("head", "thorax", "rshoulder", "relbow", "rwrist", "lshoulder", "lelbow", "lwrist"),
    *("rhip", "rknee", "rankle", "lhip", "lknee", "lankle", "hip", "spine", "neck"),
)
SKI_17 = (
    *("hip", "rhip", "rknee", "rankle", "lhip", "lknee", "lankle", "spine", "thorax", "neck"),
    *("head", "lshoulder", "lelbow", "lwrist", "rshoulder", "relbow", "rwrist"),
)


@dataclass(frozen=True)
class Camera:
    """Pinhole at a place around the body; x right, y down, z away."""

    azimuth_deg: float
    focal_px: float
    image_px: tuple[int, int]
    away_mm: float = 5000.0

    def see(self, world_mm: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Joints in the camera's axes and in pixels."""
        level = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])
        turned = (
            world_mm
            @ (level @ Rotation.from_euler("z", -self.azimuth_deg, degrees=True).as_matrix()).T
        )
        local = turned + np.array([0, 1000, self.away_mm])
        return local, self.project(local)

    def project(self, local_mm: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Pixels of joints in the camera's axes."""
        centre = np.array(self.image_px) / 2
        return np.asarray(self.focal_px * local_mm[..., :2] / local_mm[..., 2:] + centre)


def ring(sizes: list[tuple[int, int]], focal_px: float) -> list[Camera]:
    """Cameras all around, the first in front of the body."""
    return [Camera(360 / len(sizes) * place, focal_px, size) for place, size in enumerate(sizes)]


def bodies(joints: tuple[str, ...], frames: int = FRAMES, seed: int = 0) -> Any:
    """(N, S, 3) of a body that turns a little and whose joints tremble, each the same whatever
    others are asked for.
    """
    random = np.random.default_rng(seed)
    names = list(STANDING)
    still = np.array(list(STANDING.values()))
    moved = still + random.normal(0, 15, (frames, len(names), 3))
    turns = Rotation.from_euler("z", np.linspace(0, 20, frames)[:, None], degrees=True)
    return np.einsum("nrc,njc->njr", turns.as_matrix(), moved)[:, [names.index(j) for j in joints]]


def detected(path: Path, names: list[str], views_px: npt.NDArray[Any], peak: float = 0.9) -> None:
    """An AlphaPose result: in every picture the person (N, S, 2) and a small passer-by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    people = []
    for name, points in zip(names, views_px, strict=True):
        for size, confidence in ((1.0, peak), (0.1, peak / 2)):
            flat = np.column_stack([points * size, np.full(len(points), confidence)])
            entry = {"image_id": name, "category_id": 1, "score": 2.5, "idx": 0}
            people.append(entry | {"keypoints": flat.ravel().tolist()})
    path.write_text(json.dumps(people))


def write_cdf(path: Path, poses: npt.NDArray[Any]) -> None:
    """One variable, Pose, of (1, N, numbers)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = CDF(path, cdf_spec={"Majority": 1, "Compressed": 0}, delete=True)
    flat = poses.reshape(1, len(poses), -1).astype(np.float32)
    spec = {"Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True}
    file.write_var(
        spec | {"Dim_Sizes": list(flat.shape[1:]), "Dim_Vary": [True, True]}, var_data=flat
    )
    file.close()


def human36m(
    folder: Path,
    split: Any = "test",
    actions: tuple[str, ...] = ("Directions 1", "WalkingDog"),
    with_detections: bool = True,
) -> Path:
    """Every subject of a split does a few actions before the four cameras."""
    for subject in SUBJECTS[split]:
        for seed, action in enumerate(actions):
            world = bodies(H36M_32, seed=seed)
            for name, camera in zip(CAMERAS, ring(list(CAMERAS.values()), 1145), strict=True):
                local, pixels = camera.see(world)
                poses = folder / subject / "MyPoseFeatures"
                write_cdf(poses / "D3_Positions_mono" / f"{action}.{name}.cdf", local)
                write_cdf(poses / "D2_Positions" / f"{action}.{name}.cdf", pixels)
                if with_detections:
                    place = folder / "detections" / subject / f"{action}.{name}.json"
                    _watched(place, camera, [f"{n}.jpg" for n in range(FRAMES)], seed)
    return folder


def _watched(
    place: Path, camera: Camera, names: list[str], seed: int = 0, joints: JointSet = MPII_16
) -> None:
    """What a detector finds in pictures of these names: the body's joints up to 2 px."""
    pixels = camera.see(bodies(joints.joints, len(names), seed))[1]
    noise = np.random.default_rng(1).normal(0, 2, pixels.shape)
    detected(place, names, pixels + noise)


def mpi_inf_3dhp(folder: Path, frames: int = 11) -> Path:
    """All 16 sequences before 14 cameras, and the six of the test set before one."""
    cameras = ring([(2048, 2048)] * 14, 1500)
    for name in SEQUENCES:
        seen = [camera.see(bodies(MPI_28, frames)) for camera in cameras]
        cells = {"annot2": np.empty((14, 1), object), "annot3": np.empty((14, 1), object)}
        for place, (local, pixels) in enumerate(seen):
            cells["annot3"][place, 0] = local.reshape(frames, -1)
            cells["annot2"][place, 0] = pixels.reshape(frames, -1)
        numbers = {"cameras": np.arange(14)[None], "frames": np.arange(frames)[:, None]}
        (folder / name).mkdir(parents=True)
        scipy.io.savemat(folder / name / "annot.mat", cells | numbers)
        for number in CHEST_HIGH:
            where = folder / "detections" / name / f"video_{number}.json"
            _watched(where, cameras[number], [f"{n}.jpg" for n in range(frames)])
    for name, size in TEST_SEQUENCES.items():
        _mpi_test(folder, name, Camera(30, 1500, size), frames)
    return folder


def _mpi_test(folder: Path, name: str, camera: Camera, frames: int) -> None:
    local, pixels = camera.see(bodies(MPI_17, frames))
    path = folder / TEST_SET / name / "annot_data.mat"
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as file:
        file["annot2"], file["annot3"] = pixels[:, None], local[:, None]
        file["univ_annot3"] = local[:, None] * 0.92
        file["valid_frame"] = (np.arange(frames) % 3 > 0).astype(float)[:, None]
    names = [f"img_{n + 1:06d}.jpg" for n in range(frames)]
    _watched(folder / "detections" / f"{name}.json", camera, names, joints=COCO_17)


def skipose(folder: Path, unit_mm: float = 1000.0) -> Path:
    """Two runs a split before six cameras, one of which misses every second frame."""
    cameras = ring([(256, 256)] * 6, 550)
    for split, runs in {"train": [(1, 103), (2, 104)], "test": [(5, 200), (5, 201)]}.items():
        rows: list[tuple[Any, ...]] = []
        for subject, number in runs:
            world = bodies(SKI_17, 8, seed=number)
            for place, camera in enumerate(cameras):
                local, pixels = camera.see(world)
                rooted = (local - local[:, :1]) / unit_mm
                rows += [
                    (subject, number, place, 20 + n, rooted[n].ravel(), pixels[n].ravel() / 256)
                    for n in range(0, 8, 2 if place == len(cameras) - 1 else 1)
                ]
                run = folder / "detections" / split / f"seq_{number:03d}"
                names = [f"image_{20 + n:06d}.png" for n in range(8)]
                _watched(run / f"cam_{place:02d}.json", camera, names, seed=number)
        (folder / split).mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / split / "labels.h5", "w") as file:
            columns = zip(*rows, strict=True)
            for name, values in zip(
                ("subj", "seq", "cam", "frame", "3D", "2D"), columns, strict=True
            ):
                file[name] = np.array(values, np.float64)
    return folder
