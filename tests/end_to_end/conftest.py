"""A short run of the product, for all tests of what it says."""

import pytest

from tests.support.listening import Heard, short_run


@pytest.fixture(scope="session")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Two simulated cameras until their places are known; at the end another engine serves."""
    return short_run(tmp_path_factory.mktemp("run"))
