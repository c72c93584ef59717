"""A walker among four still cameras, or in a module's own `walk`, and the observations of it."""

import pytest

from cvsf.multiview.observations import LiftedObservations
from tests.support.rehearsed import Rehearsed, rehearsed


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def seen(walk: Rehearsed) -> LiftedObservations:
    return walk.seen()


@pytest.fixture(scope="module")
def exact(walk: Rehearsed) -> LiftedObservations:
    """Keypoints without noise, lifted without error."""
    return walk.exact()
