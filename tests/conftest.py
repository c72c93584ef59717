"""Where the real material is, and what a run of the product needs: ports and a disk to fill."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.product import free_ports


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real material; a test that needs it skips where it is absent."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("CVSF_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real material at {folder}; CVSF_TEST_DATA names another place")
    return folder


@pytest.fixture
def ports() -> list[str]:
    """Options of cvsf-capture and cvsf hub for three free ports."""
    return free_ports()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB; a test that needs it skips where nothing can be mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(mount)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)
