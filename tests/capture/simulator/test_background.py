"""The background of a camera: painted once, then exposed, or warped for a camera that pans."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from capture.simulator.background import Backdrop
from capture.simulator.scene import Viewpoint, look_at, make_slope, place_camera
from capture.simulator.scenery import Land, make_land, paint
from cvsf.shapes import Picture, Real

SIZE = (160, 120)
UNCHANGED, STILL = np.ones(3), np.zeros(2)


@pytest.fixture(scope="module")
def land() -> Land:
    return make_land(4, make_slope(4, False).course)


@pytest.fixture(scope="module")
def view() -> Viewpoint:
    return place_camera(make_slope(4, False), 0, SIZE)


def towards(view: Viewpoint, target: Real) -> Real:
    return np.asarray(look_at(view.eye, target[None], np.zeros(1))[0])


def apart(a: Picture, b: Picture) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_the_background_of_a_still_camera_is_the_painting_unchanged(
    land: Land, view: Viewpoint
) -> None:
    rotation = towards(view, view.target)
    seen = Backdrop(land, view).picture(rotation, view.focal_px, STILL, UNCHANGED, 0)
    assert np.array_equal(seen, paint(land, view.eye, rotation, view.focal_px, SIZE))


def test_exposure_is_a_gain_for_each_colour_less_a_pedestal(land: Land, view: Viewpoint) -> None:
    rotation, gain = towards(view, view.target), np.array([0.5, 1.0, 1.5])
    backdrop = Backdrop(land, view)
    plain = backdrop.picture(rotation, view.focal_px, STILL, UNCHANGED, 0).astype(float)
    exposed = backdrop.picture(rotation, view.focal_px, STILL, gain, 20).astype(float)
    assert np.abs(exposed - np.clip(plain * gain - 20, 0, 255)).max() <= 0.5


def test_a_picture_that_is_drawn_on_leaves_the_next_one_clean(land: Land, view: Viewpoint) -> None:
    rotation, backdrop = towards(view, view.target), Backdrop(land, view)
    first = backdrop.picture(rotation, view.focal_px, STILL, UNCHANGED, 0)
    clean = first.copy()
    first[:] = 0
    assert np.array_equal(backdrop.picture(rotation, view.focal_px, STILL, UNCHANGED, 0), clean)


@pytest.mark.parametrize("aside_m", [-3.0, 0.0, 3.0])
def test_a_panning_camera_sees_about_what_would_be_painted_for_it(
    land: Land, view: Viewpoint, aside_m: float
) -> None:
    panning = replace(view, follows=True)
    beside = np.array([-view.eye[1], view.eye[0], 0]) / np.linalg.norm(view.eye[:2])
    rotation = towards(view, view.target + aside_m * beside)
    seen = Backdrop(land, panning).picture(rotation, view.focal_px, STILL, UNCHANGED, 0)
    painted = paint(land, view.eye, rotation, view.focal_px, SIZE)
    soft = np.asarray(cv2.GaussianBlur(painted, (0, 0), 2.0), np.uint8)
    turned_away = np.asarray(soft[:, ::-1], np.uint8)
    assert seen.shape == (SIZE[1], SIZE[0], 3)
    assert apart(seen, soft) < 0.4 * apart(seen, turned_away)


def test_a_fast_pan_smears_the_background_along_the_rows_only(land: Land, view: Viewpoint) -> None:
    backdrop, rotation = Backdrop(land, replace(view, follows=True)), towards(view, view.target)
    sharp, smeared = (
        backdrop.picture(rotation, view.focal_px, np.array([px, 0.0]), UNCHANGED, 0).astype(float)
        for px in (0.0, 30.0)
    )
    assert np.abs(np.diff(smeared, axis=1)).mean() < 0.7 * np.abs(np.diff(sharp, axis=1)).mean()
    rows = (sharp.mean(1), smeared.mean(1))
    assert np.abs(rows[0] - rows[1]).max() < 5
