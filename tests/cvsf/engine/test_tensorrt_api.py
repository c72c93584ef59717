"""TensorRT's module and its errors, against the stand-in."""

import importlib
import sys
from types import SimpleNamespace

import pytest

from cvsf.engine.tensorrt_api import (
    constructed,
    error_logger,
    require_result,
    tensorrt_module,
    unavailable,
    version,
)
from cvsf.system.errors import Refusal

pytestmark = pytest.mark.usefixtures("faked")


def test_the_version_has_the_name_of_the_module_that_is_installed() -> None:
    module, name = tensorrt_module()
    assert name == "tensorrt"
    assert version() == f"tensorrt {module.__version__}"


def test_a_machine_without_tensorrt_is_refused_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Refusal, match=r"TensorRT is not installed .*pip install '\.\[tensorrt\]'"):
        tensorrt_module()


def test_tensorrt_is_unavailable_without_a_gpu_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert unavailable() is None
    unavailable.cache_clear()
    monkeypatch.setenv("FAKE_GPU", "")
    assert "CUDA finds no GPU" in str(unavailable())


def test_a_result_of_none_or_false_is_refused_with_the_logged_errors() -> None:
    log = SimpleNamespace(messages=["first", "second"])
    for nothing in (None, False):
        with pytest.raises(Refusal) as refused:
            require_result(nothing, "load a plan", log)
        assert str(refused.value) == "TensorRT failed to load a plan: first / second"
    with pytest.raises(Refusal, match="failed to load a plan: no message was logged"):
        require_result(None, "load a plan", SimpleNamespace(messages=[]))
    assert require_result(0, "count", log) == 0


def test_a_constructor_that_raises_is_refused_as_one_that_gave_none() -> None:
    def fails() -> object:
        raise TypeError("pybind11 got a null pointer")

    with pytest.raises(Refusal, match="TensorRT failed to start: out of memory"):
        constructed(fails, "start", SimpleNamespace(messages=["out of memory"]))
    assert constructed(lambda: "made", "start", SimpleNamespace(messages=[])) == "made"


def test_the_listener_keeps_errors_and_no_warnings() -> None:
    trt = importlib.import_module("tensorrt")
    log = error_logger(trt)
    severity = trt.ILogger.Severity
    for level in (severity.INTERNAL_ERROR, severity.ERROR, severity.WARNING):
        log.log(level, str(level))
    assert log.messages == [str(severity.INTERNAL_ERROR), str(severity.ERROR)]
