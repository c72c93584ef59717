"""The new lifter against the live engine."""

from pathlib import Path

import numpy as np
import pytest

from cvsf.engine.engine import load_engine
from cvsf.system.errors import Refusal
from train.night.compare_engines import _by_name, _finite
from train.night.label_free_evaluation import reference


def test_a_lifter_that_returns_nan_is_refused() -> None:
    lift = load_engine().lift_many

    def broken(*seen: np.ndarray) -> dict[str, np.ndarray]:
        found = lift(*seen)
        return found | {"canonical": np.full_like(found["canonical"], np.nan)}

    with pytest.raises(Refusal, match="not finite"):
        reference(_finite(broken))


def test_files_of_the_same_name_are_listed_with_their_folders() -> None:
    files = [Path("a/people.npz"), Path("b/people.npz"), Path("c/others.npz")]
    assert list(_by_name(files)) == ["a/people.npz", "b/people.npz", "others.npz"]
    assert list(_by_name(files).values()) == files
