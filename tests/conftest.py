"""Where the real material is, and what a run of the product needs."""

import os
from pathlib import Path

import pytest

from product import free_ports


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real material; a test that needs it skips where it is absent."""
    beside = Path(__file__).parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("CVSF_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real material at {folder}; CVSF_TEST_DATA names another place")
    return folder


@pytest.fixture
def ports() -> list[str]:
    """Options of cvsf-capture and cvsf hub for three free ports."""
    return free_ports()
