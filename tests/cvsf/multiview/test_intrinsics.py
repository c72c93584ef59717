"""Known intrinsics: scaled to the pictures, or refused."""

import numpy as np
import pytest

from cvsf.multiview.intrinsics import Intrinsics, intrinsics_of

K = np.array([[1200.0, 0, 959.5], [0, 1200.0, 539.5], [0, 0, 1]])
FULL_HD = (1920.0, 1080.0)


def known(**changed: object) -> Intrinsics:
    given = {"K": K, "distortion": [-0.3, 0.1], "calibrated_px": FULL_HD, "size_px": FULL_HD}
    return intrinsics_of("left", **(given | changed))  # type: ignore[arg-type]


def test_the_matrix_and_few_coefficients_are_taken_as_they_are() -> None:
    one = known()
    assert one.is_known.all()
    assert one.focal_px[0] == 1200
    assert (one.centre_px == [[959.5, 539.5]]).all()
    assert (one.distortion == [[-0.3, 0.1, 0, 0, 0]]).all()


def test_smaller_pictures_of_the_same_shape_have_scaled_intrinsics() -> None:
    half = known(size_px=(960.0, 540.0))
    assert half.focal_px[0] == 600
    assert (half.centre_px == [[479.5, 269.5]]).all()  # the middle stays the middle
    assert (half.distortion == known().distortion).all()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"size_px": (1080.0, 1920.0)}, "left was calibrated at 1920 x 1080, its pictures are"),
        ({"K": np.diag([1200.0, 1100.0, 1.0])}, "fx and fy of left are 1200 and 1100"),
        ({"K": np.eye(2)}, "the matrix of left is no camera matrix"),
        ({"K": np.full((3, 3), np.nan)}, "the matrix of left is no camera matrix"),
        ({"K": -K}, "fx, fy > 0"),
        ({"distortion": [0.1] * 8}, "left has 8 distortion coefficients, expected 5 or fewer"),
        ({"distortion": [np.nan]}, "distortion of left"),
    ],
)
def test_intrinsics_that_cannot_be_used_are_refused(
    changed: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        known(**changed)


def test_zeros_after_the_fifth_coefficient_say_nothing() -> None:
    assert (known(distortion=[-0.3, 0.1, 0, 0, 0, 0, 0, 0]).distortion == known().distortion).all()


def test_what_one_source_does_not_know_is_taken_from_another() -> None:
    nothing = Intrinsics.unknown(2)
    assert not nothing.is_known.any()
    first = nothing.with_view(0, known())
    both = first.or_else(nothing.with_view(1, known(size_px=(960.0, 540.0))))
    assert both.is_known.all()
    assert (both.focal_px == [1200, 600]).all()
    assert (both.of_views([1, 0]).focal_px == [600, 1200]).all()
    assert (both.without([0]).is_known == [False, True]).all()
    assert both.is_known.all()  # nothing was changed
