"""The suite checks shapes and types; a process of the product loads nothing for it."""

import subprocess
import sys

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from cvsf import shapes
from cvsf.engine.engine import load_engine
from cvsf.skeleton import H36M_16, remap


def test_a_pose_of_another_shape_is_refused_while_the_tests_run() -> None:
    confidence = np.ones((5, len(H36M_16)), np.float32)
    with pytest.raises(TypeCheckError, match="confidence"):
        remap(np.zeros((4, len(H36M_16), 2)), confidence, H36M_16.joints, H36M_16.joints)


def test_an_argument_of_another_type_is_refused_while_the_tests_run() -> None:
    with pytest.raises(TypeCheckError, match="folder"):
        load_engine("models/live")  # type: ignore[arg-type]


def test_outside_of_the_tests_a_shape_is_the_arrays_type_and_jaxtyping_is_not_loaded() -> None:
    program = (
        "import sys, capture.node, runtime.hub, cvsf.shapes as s\n"
        "assert s.Float[s.Array, 'V J 2'] is s.Array\n"
        "assert s.Bool[s.Mask, 'V'] is s.Mask\n"
        "assert not {'jaxtyping', 'unittest', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert "V J 2" in str(shapes.Float[shapes.Array, "V J 2"])
