"""The reprojection error of each camera over a film, one strip a camera, with a cursor."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from cvsf.shapes import Float, Real
from train.rig_pictures.world_figure import FAINT, INK

_CURVE, _NOW = "#35858b", "#d1495b"
_SHARE = 0.99  # of the errors that the common scale of the strips shows
_NAME, _VALUE = 0.2, 0.12  # of the width, left and right of the curves


class ErrorCurves:
    """Strips of one scale below one another; the cursor and the value of now move."""

    def __init__(
        self,
        figure: Figure,
        place: tuple[float, float, float, float],
        cameras: Sequence[str],
        t_s: Float[Real, "F"],
        errors_px: Float[Real, "F V"],
    ) -> None:
        """Draw the strips at `place` (left, bottom, width, height, in shares of the figure)."""
        left, bottom, width, height = place
        self._t_s, self._errors = t_s, errors_px
        start, along = left + _NAME * width, (1 - _NAME - _VALUE) * width
        known = errors_px[np.isfinite(errors_px)]
        most = max(float(np.quantile(known, _SHARE)) if len(known) else 0.0, 0.1) * 1.1
        tall = height / len(cameras)
        size = float(np.clip(0.42 * tall * figure.get_figheight() * 72, 6.5, 10))
        self._values = []
        for view, name in enumerate(cameras):
            base = bottom + height - (view + 1) * tall
            axes = figure.add_axes((start, base + 0.06 * tall, along, 0.88 * tall))
            axes.set_facecolor("#eeece5")
            axes.fill_between(t_s, np.minimum(errors_px[:, view], most), color=_CURVE, alpha=0.25)
            axes.plot(t_s, np.minimum(errors_px[:, view], most), color=_CURVE, lw=1.1)
            axes.set(ylim=(0, most), xticks=[], yticks=[], xlim=_limits(t_s))
            for spine in axes.spines.values():
                spine.set_visible(False)
            middle = base + 0.5 * tall
            figure.text(start - 0.006, middle, name, ha="right", va="center", fontsize=size)
            self._values.append(
                figure.text(
                    start + along + 0.006, middle, "", va="center", fontsize=size, color=INK,
                    animated=True,
                )
            )  # fmt: skip
        figure.text(start, bottom - 0.03, f"{t_s[0]:.1f} s", color=FAINT, fontsize=8)
        figure.text(
            start + along, bottom - 0.03, f"{t_s[-1]:.1f} s; each strip is {most:.1f} px high",
            color=FAINT, fontsize=8, ha="right",
        )  # fmt: skip
        over = figure.add_axes((start, bottom, along, height))
        over.set(xlim=_limits(t_s), ylim=(0, 1))
        over.axis("off")
        self._cursor = over.axvline(t_s[0], color=_NOW, lw=1.3, animated=True)

    def at(self, number: int) -> list[Artist]:
        """What moves, as it is in that picture of the film."""
        self._cursor.set_xdata([self._t_s[number]] * 2)
        for value, error in zip(self._values, self._errors[number], strict=True):
            value.set_text(f"{error:.1f}" if np.isfinite(error) else "-")
        return [self._cursor, *self._values]


def _limits(t_s: Float[Real, "F"]) -> tuple[float, float]:
    """Of the time axis; of a single moment too."""
    return float(t_s[0]), max(float(t_s[-1]), float(t_s[0]) + 1e-3)
