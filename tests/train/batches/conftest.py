"""A file of two walkers, and the store of their pseudo-labels."""

from pathlib import Path

import pytest

from cvsf.engine.engine import SHIPPED
from tests.support.walkers import walkers
from train.batches.pseudo_labels import PseudoLabeller
from train.checkpoint import read_checkpoint
from train.data.memmap_store import Store, open_store, write_store
from train.data.npz import read_file
from train.loop.run import lift_with


@pytest.fixture
def labeller() -> PseudoLabeller:
    """The shipped lifter's."""
    return PseudoLabeller(lift_with(read_checkpoint(SHIPPED).lifter()))


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walkers(tmp_path_factory.mktemp("walkers") / "w.npz")


@pytest.fixture(scope="session")
def store(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("placed") / "store"
    labeller = PseudoLabeller(lift_with(read_checkpoint(SHIPPED).lifter()))
    write_store(labeller.parts([read_file(file)]), folder)
    return open_store(folder)
