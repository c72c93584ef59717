"""TensorRT's Python module, whichever of the two is installed, and its error messages.

It returns None or False instead of raising: everything it returns goes through `must`.
"""

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from cvsf.system.errors import Refusal

MODULES = ("tensorrt", "tensorrt_rtx")
"""The same names in both for all that is used here; the second is for RTX cards."""

Given = TypeVar("Given")


def tensorrt_module() -> tuple[Any, str]:
    """The module and its name; Refusal says why there is none."""
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
    """Name and full version, as plans are bound to them."""
    trt, name = tensorrt_module()
    return f"{name} {trt.__version__}"


@cache
def unavailable() -> str | None:
    """Why TensorRT cannot run on this machine; None where it can.

    The GPU is asked first: TensorRT itself only logs when there is none.
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


def listener(trt: Any) -> Any:
    """A logger for TensorRT that keeps its errors in `messages`."""

    class Listener(trt.ILogger):  # type: ignore[misc]  # the module is known only at run time
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[str] = []

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.messages.append(text)

    return Listener()


def started(make: Callable[[], Given], what: str, log: Any) -> Given:
    """The result of a constructor of TensorRT; its bindings raise where there is none."""
    try:
        return must(make(), what, log)
    except (TypeError, RuntimeError):
        return must(None, what, log)


def must(result: Given | None, what: str, log: Any) -> Given:
    """TensorRT's result; where it is None or False, a Refusal with the messages of its logger."""
    if result is None or result is False:
        reason = " / ".join(log.messages) or "it gave no reason"
        raise Refusal(f"TensorRT failed to {what}: {reason}")
    return result
