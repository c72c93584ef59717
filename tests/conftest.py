"""Checks types and shapes; real material; an empty registry; ports and a small disk for a run.

Functions and dataclasses that compute with arrays check their annotations while the tests run
(jaxtyping and beartype), so the hook comes before anything of the project is imported.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests.support.shape_checks import PACKAGES

install_import_hook(PACKAGES, "tests.support.shape_checks.checked")

from cvsf.registry.registry import Registry  # noqa: E402 - after the hook
from tests.support.paths import ROOT  # noqa: E402 - after the hook
from tests.support.product import free_ports  # noqa: E402 - after the hook


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real material; a test that needs it skips where it is absent."""
    beside = ROOT.parent / "shared" / "data"
    folder = Path(os.environ.get("CVSF_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real material at {folder}; CVSF_TEST_DATA names another place")
    return folder


@pytest.fixture(scope="session")
def shared_cases(shared_data: Path) -> Path:
    """The folder of small inputs that go wrong; a test that needs it skips where it is absent."""
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no small inputs at {folder}; they are kept beside the real material")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry of engines with none in it."""
    return Registry(tmp_path / "models")


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
