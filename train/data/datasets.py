"""The published datasets by name: how each is recognised, read and split.

Nothing is downloaded: who has the licence points at the folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from cvsf.system.errors import Refusal
from train.data.dataset_recording import Split
from train.data.human36m import read_human36m
from train.data.instants import Recordings
from train.data.mpi_inf_3dhp import read_mpi_inf_3dhp
from train.data.skipose import read_skipose


@runtime_checkable
class Read(Protocol):
    """The sessions of a split, one at a time, after what is missing has been refused."""

    def __call__(
        self, folder: Path, split: Split, *, truth_2d: bool = False
    ) -> Iterator[Recordings]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One published dataset; a folder is taken for it where something matches one of the marks."""

    title: str
    marks: tuple[str, ...]
    read: Read
    sessions: Mapping[Split, int | None]  # how many there are; None where that is not published


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        "human3.6m": Dataset(
            title="Human3.6M",
            marks=("S*/MyPoseFeatures",),
            read=read_human36m,
            sessions={"train": 150, "test": 60},
        ),
        "mpi-inf-3dhp": Dataset(
            title="MPI-INF-3DHP",
            marks=("S*/Seq*/annot.mat", "mpi_inf_3dhp_test_set"),
            read=read_mpi_inf_3dhp,
            sessions={"train": 16, "test": 6},
        ),
        "skipose": Dataset(
            title="SkiPose",
            marks=("train/labels.h5", "test/labels.h5"),
            read=read_skipose,
            sessions={"train": None, "test": None},
        ),
    }
)


def published(
    folder: Path, name: str | None, split: Split, *, truth_2d: bool = False
) -> Iterator[Recordings]:
    """The sessions of a dataset's split, one at a time. Joints are in mm in each view's axes, 2D in
    px.

    Without a name, the dataset is recognised by its layout. `truth_2d` takes the labels' own 2D for
    the detector's, at confidence 1. Refusal at once if the name or folder is unknown or a file is
    missing; while reading, if a file is damaged.
    """
    known = DATASETS[recognised(folder) if name is None else _checked(folder, name)]
    return known.read(folder, split, truth_2d=truth_2d)


def recognised(folder: Path) -> str:
    """The name of the dataset in a folder: the first of `DATASETS` of which a mark, a pattern of
    paths, matches; files are not opened. Refusal, with the marks, if none matches or there is no
    folder.
    """
    for name, dataset in DATASETS.items():
        if any(next(folder.glob(mark), None) is not None for mark in dataset.marks):
            return name
    looked = "; ".join(f"{d.title}: {' or '.join(d.marks)}" for d in DATASETS.values())
    raise Refusal(f"{folder} is no dataset we know, looked for {looked} (docs/datasets.md)")


def _checked(folder: Path, name: str) -> str:
    if name not in DATASETS:
        raise Refusal(f"dataset is {name!r}, expected one of {', '.join(DATASETS)}")
    if not folder.is_dir():
        raise Refusal(f"no folder at {folder}; expected {DATASETS[name].title} there")
    return name
