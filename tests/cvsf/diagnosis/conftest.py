"""A walker who does not repeat themselves, or in a module's own `walk`, before still cameras."""

import pytest

from tests.support.rehearsed import Rehearsed
from tests.support.wandering import wandering


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return wandering(tmp_path_factory.mktemp("walk"))
