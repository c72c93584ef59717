"""Cameras that are not known well enough are refused, with the camera and the reason."""

from typing import Any

import numpy as np
import pytest

from cvsf.calibration.degeneracy import Undetermined, refuse_uncertain
from tests.support.made_calibration import made_calibration


@pytest.mark.parametrize(
    ("name", "unsure", "sentence"),
    [
        (
            "focal_share",
            0.61,
            "focal length of cam1 is known to 61%, expected 60%; let the",
        ),
        ("position_share", 0.7, "distance of cam1 is known to 70%, expected 60%; let the"),
        ("rotation_deg", 8.6, "the direction of cam1 is known to 9 degrees, expected 8; let the"),
        (
            "reprojection_share",
            0.05,
            "cam1 does not fit the others: its reprojection error is 5% of",
        ),
    ],
)
def test_a_camera_beyond_a_limit_is_refused_with_its_name_and_the_limit(
    name: str, unsure: float, sentence: str
) -> None:
    usual = getattr(made_calibration().uncertainty, name)[0]
    sure: dict[str, Any] = {name: np.array([usual, unsure, usual])}
    with pytest.raises(Undetermined) as refused:
        refuse_uncertain(made_calibration(**sure))
    assert str(refused.value).startswith(sentence)


def test_views_that_do_not_fit_together_are_refused_with_how_far_2d_is_off() -> None:
    with pytest.raises(Undetermined, match="the 2D error is 6% of the person, expected at most 5%"):
        refuse_uncertain(made_calibration(noise_share=0.06))


def test_a_camera_just_within_the_limit_is_accepted_and_just_beyond_is_refused() -> None:
    refused = []
    for share in (0.59, 0.61):
        try:
            refuse_uncertain(made_calibration(focal_share=np.array([0.1, share, 0.1])))
        except Undetermined:
            refused.append(share)
    assert refused == [0.61]


def test_a_camera_is_refused_from_four_times_the_reprojection_error_of_the_others() -> None:
    refused = []
    for share in (0.079, 0.081):
        try:
            refuse_uncertain(made_calibration(reprojection_share=np.array([0.02, 0.02, share])))
        except Undetermined as error:
            refused.append((share, str(error).split()[0]))
    assert refused == [(0.081, "cam2")]
