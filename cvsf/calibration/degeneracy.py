"""Degeneracy: refusal of cameras that the motion does not determine well enough, with the reason.

The standard deviations are those of the covariance of the bundle adjustment.
"""

import numpy as np

from cvsf.multiview.calibration import Calibration

CORRELATION_FACTOR = 2.0
"""The errors of a detector are correlated between joints: standard deviations from the covariance
are too small by this factor. A guess, not measured.
"""
# guesses, not measured
_MOST_NOISE = 0.05  # of the person's extent
_MOST_REPROJECTION, _OUTLIER = 0.025, 4.0  # of the extent; over the median of the other views
_MOST_FOCAL_SHARE, _MOST_POSITION_SHARE, _MOST_ROTATION_DEG = 0.6, 0.6, 8.0


class Undetermined(Exception):
    """The motion does not determine the cameras; the message is one sentence with the reason."""


def refuse_uncertain(calibration: Calibration) -> None:
    """Undetermined, with the camera and a hint, if the noise, a reprojection error far above that
    of the other views, or a standard deviation is too large; else nothing. The first of these that
    is too large is named; the reprojection errors are compared only for three or more views.
    """
    uncertainty, names = calibration.uncertainty, calibration.rig.cameras
    if calibration.noise_share > _MOST_NOISE:
        raise Undetermined(
            f"the views do not fit together: the 2D error is {calibration.noise_share:.0%} of the "
            f"person, expected at most {_MOST_NOISE:.0%}; do all cameras see the same person, "
            "and are their stamps on one clock?"
        )
    share = uncertainty.reprojection_share
    worst = int(share.argmax())
    others = float(np.median(np.delete(share, worst)))
    if len(share) > 2 and share[worst] > max(_MOST_REPROJECTION, _OUTLIER * others):
        raise Undetermined(
            f"{names[worst]} does not fit the others: its reprojection error is "
            f"{share[worst]:.0%} of the person, theirs {others:.1%}; does it see the same person? "
            "Or leave it out"
        )
    for values, most, what in (
        (uncertainty.focal_share, _MOST_FOCAL_SHARE, "focal length"),
        (uncertainty.position_share, _MOST_POSITION_SHARE, "distance"),
    ):
        worst = int(values.argmax())
        if values[worst] > most:
            raise Undetermined(
                f"{what} of {names[worst]} is known to {values[worst]:.0%}, expected {most:.0%}; "
                "let the athlete move nearer and farther, or longer"
            )
    rotation_deg = uncertainty.rotation_deg
    worst = int(rotation_deg.argmax())
    if rotation_deg[worst] > _MOST_ROTATION_DEG:
        raise Undetermined(
            f"the direction of {names[worst]} is known to {rotation_deg[worst]:.0f} degrees, "
            f"expected {_MOST_ROTATION_DEG:.0f}; let the athlete move longer"
        )
