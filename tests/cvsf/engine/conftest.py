"""The stand-in for TensorRT, and a folder for its plans."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from cvsf.engine import tensorrt_api
from tests.support.paths import ROOT
from tests.support.plans import FAKES

FAKED = (
    "tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime", "cvsf.engine.cuda",
    "cvsf.engine.tensorrt_backend",
)  # fmt: skip
_loaded: dict[str, ModuleType] = {}
"""Loaded once: a class that is made anew is another one for the checks of annotations."""


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The stand-ins in place of both modules, here and in the builder's process."""
    monkeypatch.syspath_prepend(str(FAKES))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(ROOT)]))
    _forget()
    sys.modules.update(_loaded)
    _loaded.update((name, importlib.import_module(name)) for name in FAKED)
    cuda = _loaded["cuda.bindings.runtime"]
    vars(cuda)["launched"] = 0
    cuda.memory.clear()
    yield cuda
    _forget()


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    return tmp_path / "plans"


def _forget() -> None:
    """So that the next import of any of them does not find the stand-in."""
    for name in FAKED:
        sys.modules.pop(name, None)
        package, _, module = name.rpartition(".")
        if package in sys.modules:
            vars(sys.modules[package]).pop(module, None)
    tensorrt_api.unavailable.cache_clear()
