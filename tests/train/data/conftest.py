"""One tiny folder of each published dataset, in exactly its layout."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import datasets

MAKERS: dict[str, Callable[[Path], Path]] = {
    "human3.6m": datasets.human36m,
    "mpi-inf-3dhp": datasets.mpi_inf_3dhp,
    "skipose": datasets.skipose,
}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny folder of each dataset."""
    made = {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}
    datasets.human36m(made["human3.6m"], "train", actions=("Directions", "TakingPhoto 1"))
    return made
