"""The checker of annotations that runs under jaxtyping's import hook while the tests run."""

from collections.abc import Callable
from typing import Any, Self

from beartype import BeartypeConf, beartype

PACKAGES = [
    "capture.simulator",
    "cvsf.calibration",
    "cvsf.diagnosis",
    "cvsf.engine",
    "cvsf.evaluation",
    "cvsf.messages",
    "cvsf.model",
    "cvsf.multiview",
    "cvsf.reconstruction",
    "cvsf.skeleton",
    "runtime.bench",
    "runtime.calibration",
    "runtime.detection",
    "runtime.ingest",
    "runtime.lifting",
    "train",
]
"""Where arrays are computed with; elsewhere a check costs a call 20 us and finds nothing."""

_beartype: Callable[[Any], Any] = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Any) -> Any:
    """The function with its annotations checked at every call.

    `Self` is left out: beartype knows it only where it decorates the whole class.
    """
    hints = getattr(function, "__annotations__", {})
    for name in [name for name, hint in hints.items() if hint is Self]:
        hints[name] = Any
    return _beartype(function)
