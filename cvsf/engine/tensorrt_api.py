"""TensorRT's Python module, the one of two that is installed, and its error messages.

TensorRT returns None or False instead of raising: all results go through `require_result`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from cvsf.system.errors import Refusal

MODULES = ("tensorrt", "tensorrt_rtx")
"""Both have all the names that are used here; the second is for RTX GPUs."""

Given = TypeVar("Given")


def tensorrt_module() -> tuple[Any, str]:
    """The first of the modules `tensorrt` and `tensorrt_rtx` that can be imported, and its name.
    Refusal with the reason of each if none can; a GPU is not looked for.
    """
    errors = []
    for name in MODULES:
        try:
            return importlib.import_module(name), name
        except ImportError as error:  # a missing library of NVIDIA's raises it too
            errors.append(f"{name}: {error}")
    raise Refusal(
        f"TensorRT is not installed ({'; '.join(errors)});"
        " run: pip install '.[tensorrt]' or '.[rtx]'"
    )


def version() -> str:
    """Name of the module and full version of TensorRT, as "tensorrt 11.4.0.106"; a plan runs with
    no other. Refusal if there is none.
    """
    trt, name = tensorrt_module()
    return f"{name} {trt.__version__}"


@cache
def unavailable() -> str | None:
    """Why TensorRT cannot run on this machine: no module, no cuda-bindings or no GPU; None if it
    can. The answer is kept for the life of the process.

    The GPU is looked for first, because TensorRT only logs that there is none.
    """
    if not any(importlib.util.find_spec(name) for name in MODULES):
        return "neither tensorrt nor tensorrt_rtx is installed"
    try:
        from cvsf.engine.cuda import gpu_name

        gpu_name()
        tensorrt_module()
    except ImportError:
        return "cuda-bindings is not installed"
    except Refusal as refusal:
        return str(refusal)
    return None


def error_logger(trt: Any) -> Any:
    """A new logger for TensorRT that keeps errors, and worse, as texts in `messages`, and drops the
    rest. It must live as long as the objects made with it.
    """

    class ErrorLogger(trt.ILogger):  # type: ignore[misc]  # the module is known only at run time
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.messages.append(text)

    return ErrorLogger()


def constructed(make: Callable[[], Given], what: str, log: Any) -> Given:
    """What `make` returns, a TensorRT object. None, False, TypeError and RuntimeError become a
    Refusal with the messages of the logger `log`; `what` says in it what failed.
    """
    try:
        return require_result(make(), what, log)
    except (TypeError, RuntimeError):
        return require_result(None, what, log)


def require_result(result: Given | None, what: str, log: Any) -> Given:
    """The result of a TensorRT call, unchanged; 0 and empty values pass. None or False is a
    Refusal, "TensorRT failed to `what`", with the messages of the logger `log`.
    """
    if result is None or result is False:
        reason = " / ".join(log.messages) or "no message was logged"
        raise Refusal(f"TensorRT failed to {what}: {reason}")
    return result
