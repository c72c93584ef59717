"""A walker among four still cameras, for tests of calibration and reconstruction."""

import pytest

from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed, rehearsed


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return walk.seen()
