"""The background of a camera's pictures: one painting, or several that are warped where it pans.

The paintings depend on the seed and the tripod only; exposure is applied afterwards.
"""

import cv2
import numpy as np

from capture.simulator.scene import Viewpoint, look_at
from capture.simulator.scenery import Land, paint
from cvsf.shapes import Array, Float, Picture, Real, UInt8

_PLATE = np.array([1.75, 1.2])
"""Size of the paintings of a panning camera and their focal length, in widths of its picture;
guesses, not measured.
"""
_PLATE_FOCAL = 1.25
_PLATE_STEP = 0.55
"""Radians between two paintings: they overlap by a picture's width at its shortest focal length."""

_BLURRED = 2
"""Downscaling of a panning camera's background, which is out of focus; a guess, not measured."""


class Backdrop:
    """The background of one camera."""

    def __init__(self, land: Land, view: Viewpoint) -> None:
        self._land, self._view = land, view
        self._painted: dict[int, tuple[Picture, Real, float]] = {}

    def picture(
        self,
        rotation: Float[Real, "3 3"],
        focal_px: float,
        streak: Float[Real, "2"],
        gain: Float[Real, "3"],
        pedestal: int,
    ) -> UInt8[Picture, "H W 3"]:
        """A new BGR picture of the background, times `gain` per colour, minus `pedestal` (grey
        values). `rotation` is view_from_world. Only of a panning camera is it smeared, along the
        picture's rows by the larger component of `streak` (px). A painting that is needed for the
        first time is painted now, which takes longer.
        """
        if self._view.follows:
            warped = self._warped(rotation, focal_px)
            long = int(min(31, np.abs(streak).max())) // _BLURRED
            if long > 1:
                warped = np.asarray(cv2.blur(warped, (long | 1, 1)), np.uint8)
            exposed = cv2.transform(warped, _exposure(gain, pedestal))
            return np.asarray(cv2.resize(exposed, self._view.size), np.uint8)
        plate = self._plate(0, rotation, focal_px, self._view.size)[0]
        return np.asarray(cv2.transform(plate, _exposure(gain, pedestal)), np.uint8)

    def prepare(self, rotation: Float[Real, "3 3"], focal_px: float) -> None:
        """Paint the background for this rotation (view_from_world) and focal length (px) before it
        is needed; nothing if it is painted already. A still camera has one painting, of the first
        call, whatever is asked later.
        """
        if self._view.follows:
            self._plate_towards(rotation)
        else:
            self._plate(0, rotation, focal_px, self._view.size)

    def _plate_towards(self, rotation: Real) -> tuple[Picture, Real, float]:
        """The painting whose middle is nearest to where a panning camera looks."""
        forward = rotation[2]
        ahead = -self._view.eye
        turn = float(
            np.arctan2(ahead[0] * forward[1] - ahead[1] * forward[0], ahead[:2] @ forward[:2])
        )
        number = round(turn / _PLATE_STEP)
        base = np.arctan2(ahead[1], ahead[0]) + number * _PLATE_STEP
        down = -self._view.eye[2] / np.linalg.norm(self._view.eye[:2]) * 0.5
        towards = self._view.eye + np.array([np.cos(base), np.sin(base), down])
        level = look_at(self._view.eye, towards[None], np.zeros(1))[0]
        width, height = np.round(_PLATE * self._view.size[0]).astype(int).tolist()
        return self._plate(number, level, _PLATE_FOCAL * self._view.size[0], (width, height))

    def _warped(self, rotation: Real, focal_px: float) -> Picture:
        plate, plate_rotation, plate_focal = self._plate_towards(rotation)
        width, height = self._view.size
        size = (width // _BLURRED, height // _BLURRED)
        shape = (plate.shape[1], plate.shape[0])
        plate_from_view = (
            _camera(plate_focal, shape) @ plate_rotation @ rotation.T
            @ np.linalg.inv(_camera(focal_px / _BLURRED, size))
        )  # fmt: skip
        return np.asarray(
            cv2.warpPerspective(
                plate, plate_from_view, size,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )  # fmt: skip

    def _plate(
        self, number: int, rotation: Real, focal_px: float, size: tuple[int, int]
    ) -> tuple[Picture, Real, float]:
        if number not in self._painted:
            painting = paint(self._land, self._view.eye, rotation, focal_px, size)
            if self._view.follows:
                painting = np.asarray(cv2.GaussianBlur(painting, (0, 0), 1.5), np.uint8)
            self._painted[number] = painting, rotation, focal_px
        return self._painted[number]


def _camera(focal_px: float, size: tuple[int, int]) -> Real:
    return np.array([[focal_px, 0, size[0] / 2], [0, focal_px, size[1] / 2], [0, 0, 1]])


def _exposure(gain: Real, pedestal: int) -> Array:
    """Exposure as an affine map of a colour."""
    return np.column_stack([np.diag(gain), np.full(3, -pedestal)]).astype(np.float32)
