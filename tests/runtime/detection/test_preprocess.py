"""Pictures as a network's input: where each place goes, and what the pixels become."""

import json
from typing import Any

import cv2
import numpy as np
import pytest

from cvsf.shapes import Picture
from runtime.detection.bundle import MANIFEST, SHIPPED, NetworkManifest
from runtime.detection.network import Batch
from runtime.detection.preprocess import Fit, crop, letterbox


def network(**changes: Any) -> NetworkManifest:
    """The skier's pose network: 3 planes of 128 x 160, but for the changes."""
    shipped = json.loads((SHIPPED / "sim-skier" / MANIFEST).read_text())["pose"]
    plain = {
        "layout": "NCHW", "size_px": [128, 160], "colour": "BGR", "dtype": "float32",
        "mean": [0.0], "std": [1.0], "pad": 7, "letterbox": "centred", "crop_margin": 1.25,
    }  # fmt: skip
    return NetworkManifest.model_validate(shipped | plain | changes)


def empty(manifest: NetworkManifest) -> Batch:
    width, height = manifest.size_px
    planes = manifest.channels
    shape = (planes, height, width) if manifest.layout == "NCHW" else (height, width, planes)
    return np.zeros(shape, manifest.dtype)


def noise(width: int, height: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def corners(fit: Fit, manifest: NetworkManifest) -> list[list[float]]:
    """The input's own corners as places in the picture."""
    return [list(xy) for xy in fit.to_picture(np.array([[0, 0], manifest.size_px])).tolist()]


def test_a_wide_picture_is_shrunk_to_the_width_and_padded_above_and_below() -> None:
    """256 x 80 into 128 x 160 is half the size, 128 x 40, so 60 rows above and below it."""
    manifest, grey = network(), np.full((80, 256, 3), 200, np.uint8)
    into = empty(manifest)
    fit = letterbox(grey, manifest, into)
    assert (into[:, 60:100] == 200).all()
    assert (into[:, :60] == 7).all()
    assert (into[:, 100:] == 7).all()
    assert fit.scale.tolist() == [0.5, 0.5]
    assert fit.to_picture(np.array([64.0, 80.0])).tolist() == [128.0, 40.0]


def test_a_top_left_letterbox_pads_below_only() -> None:
    manifest = network(letterbox="top-left")
    into = empty(manifest)
    fit = letterbox(np.full((80, 256, 3), 200, np.uint8), manifest, into)
    assert (into[:, :40] == 200).all()
    assert (into[:, 40:] == 7).all()
    assert corners(fit, manifest)[0] == [0.0, 0.0]


def test_a_crop_is_the_box_and_its_margin_in_the_aspect_of_the_input() -> None:
    """A box 64 wide and 40 high around (200, 150): the width rules, 80 x 100 with its margin."""
    manifest = network()
    into = empty(manifest)
    fit = crop(noise(400, 300), np.array([168.0, 130.0, 232.0, 170.0]), manifest, into)
    assert corners(fit, manifest) == [[160.0, 100.0], [240.0, 200.0]]


def test_a_crop_of_the_inputs_own_size_holds_the_very_pixels() -> None:
    manifest, picture = network(crop_margin=1.0), noise(400, 300)
    into = empty(manifest)
    crop(picture, np.array([100.0, 50.0, 228.0, 210.0]), manifest, into)
    assert np.array_equal(into, np.moveaxis(picture[50:210, 100:228], -1, 0))


def test_a_crop_that_leaves_the_picture_is_padded_and_the_rest_is_as_within() -> None:
    manifest, picture = network(crop_margin=1.0), noise(400, 300)
    into = empty(manifest)
    fit = crop(picture, np.array([-28.0, -30.0, 100.0, 130.0]), manifest, into)
    assert corners(fit, manifest) == [[-28.0, -30.0], [100.0, 130.0]]
    assert np.array_equal(into[:, 30:, 28:], np.moveaxis(picture[:130, :100], -1, 0))
    assert (into[:, :29] == 7).all()
    assert (into[:, :, :27] == 7).all()


def test_a_crop_beyond_the_edge_is_that_of_a_picture_padded_before() -> None:
    """At 1.5 picture pixels to one of the input, where half a pixel would show."""
    manifest = network(crop_margin=1.5)
    soft = cv2.GaussianBlur(noise(400, 300).astype(np.float32), (0, 0), 3)
    picture = np.asarray(255 * (soft - soft.min()) / np.ptp(soft), np.uint8)
    wider = np.full((500, 600, 3), 7, np.uint8)
    wider[100:400, 100:500] = picture
    box = np.array([-28.0, -30.0, 100.0, 130.0])
    beyond, within = empty(manifest), empty(manifest)
    fit = crop(picture, box, manifest, beyond)
    crop(wider, box + 100, manifest, within)
    assert fit.scale.tolist() == pytest.approx([1 / 1.5, 1 / 1.5])
    assert np.abs(beyond - within).mean() < 0.3


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_colours_are_put_in_the_networks_order_less_the_mean_over_the_deviation(
    layout: str, colour: str
) -> None:
    bgr = [10.0, 60.0, 110.0]
    values = bgr if colour == "BGR" else bgr[::-1]
    manifest = network(layout=layout, colour=colour, mean=[10.0, 20.0, 30.0], std=[2.0, 4.0, 5.0])
    into = empty(manifest)
    letterbox(np.full((160, 128, 3), bgr, np.uint8), manifest, into)
    expected = (np.array(values) - [10.0, 20.0, 30.0]) / [2.0, 4.0, 5.0]
    planes = np.moveaxis(into, -1, 0) if layout == "NHWC" else into
    assert planes.reshape(3, -1).min(1) == pytest.approx(expected, rel=1e-6)
    assert planes.reshape(3, -1).max(1) == pytest.approx(expected, rel=1e-6)


def test_grey_is_the_usual_weighing_of_the_colours_and_bytes_stay_bytes() -> None:
    picture = np.full((160, 128, 3), (10, 60, 110), np.uint8)
    grey = network(colour="GREY")
    into = empty(grey)
    letterbox(picture, grey, into)
    assert into.shape == (1, 160, 128)
    assert into == pytest.approx(0.114 * 10 + 0.587 * 60 + 0.299 * 110, abs=0.5)
    bytes_ = network(layout="NHWC", dtype="uint8", colour="RGB")
    into = empty(bytes_)
    letterbox(picture, bytes_, into)
    assert into.dtype == np.uint8
    assert (into == (110, 60, 10)).all()
