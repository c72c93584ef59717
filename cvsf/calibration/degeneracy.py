"""Whether cameras that were found are known well enough to be used; if not, why.

The standard deviations come from the covariance of the adjustment.
"""

import numpy as np

from cvsf.multiview.rig import Calibration

CAUTION = 2.0
"""A detector's errors go together from joint to joint: sigmas come out too small by this."""
_MOST_NOISE = 0.05  # of the person's extent
_MOST_MISFIT, _STRANGE = 0.025, 4.0
_MOST_FOCAL_SHARE, _MOST_POSITION_SHARE, _MOST_ROTATION_DEG = 0.6, 0.6, 8.0


class Undetermined(Exception):
    """The motion does not determine the cameras; one sentence says why."""


def refuse_unsure(found: Calibration) -> None:
    """Undetermined if any camera is not known well enough to be used."""
    sure, names = found.sureness, found.rig.cameras
    if found.noise_share > _MOST_NOISE:
        raise Undetermined(
            f"the views do not fit together: 2D is off by {found.noise_share:.0%} of the person, "
            f"expected at most {_MOST_NOISE:.0%}; do all cameras see the same person, in step?"
        )
    share = sure.reprojection_share
    worst = int(share.argmax())
    others = float(np.median(np.delete(share, worst)))
    if len(share) > 2 and share[worst] > max(_MOST_MISFIT, _STRANGE * others):
        raise Undetermined(
            f"{names[worst]} does not fit the others: its joints are off by {share[worst]:.0%} of "
            f"the person, theirs by {others:.1%}; does it see the same person? Or leave it out"
        )
    for values, most, what in (
        (sure.focal_share, _MOST_FOCAL_SHARE, "focal length"),
        (sure.position_share, _MOST_POSITION_SHARE, "distance"),
    ):
        worst = int(values.argmax())
        if values[worst] > most:
            raise Undetermined(
                f"{what} of {names[worst]} is known to {values[worst]:.0%}, expected {most:.0%}; "
                "let the athlete move nearer and farther, or longer"
            )
    worst = int(sure.rotation_deg.argmax())
    if sure.rotation_deg[worst] > _MOST_ROTATION_DEG:
        raise Undetermined(
            f"the direction of {names[worst]} is known to {sure.rotation_deg[worst]:.0f} degrees, "
            f"expected {_MOST_ROTATION_DEG:.0f}; let the athlete move longer"
        )
