"""Where the real material is, and what a run of the product needs."""

import os
import socket
from pathlib import Path

import pytest


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
    probes = [socket.socket() for _ in range(3)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    numbers = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return [
        word
        for name, number in zip(("frames", "skeletons", "web"), numbers, strict=True)
        for word in (f"--{name}-port", number)
    ]
