"""One small slope for all tests of nights: three sealed sessions, which nobody changes."""

from pathlib import Path

import pytest

from tests.support.filmed import Filmed
from tests.support.takes import taken


@pytest.fixture(scope="session")
def slope(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Filmed]]:
    data = tmp_path_factory.mktemp("slope")
    return data, [taken(data, take) for take in (1, 2, 3)]
