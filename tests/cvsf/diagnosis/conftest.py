"""A walker who does not repeat themselves, or in a module's own `walk`, before still cameras."""

import pytest

from tests.support.rehearsed import Rehearsed
from tests.support.wandering import wandering


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="session")
def short_walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    """The same walker for 6 s."""
    return wandering(tmp_path_factory.mktemp("walk"), frames=90)
