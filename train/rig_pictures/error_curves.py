"""The reprojection error of each camera over a film, one strip a camera, with a cursor."""

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

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
        most = 1.1 * max(float(np.quantile(known, _SHARE)) if len(known) else 0.0, 0.1)
        tall = height / len(cameras)
        self._values = []
        for view, name in enumerate(cameras):
            base = bottom + height - (view + 1) * tall
            strip = figure.add_axes((start, base + 0.06 * tall, along, 0.88 * tall))
            self._draw(strip, errors_px[:, view], most)
            self._values.append(_draw_words(figure, name, (start, start + along, base, tall)))
        below = f"{t_s[-1]:.1f} s; each strip is {most:.1f} px high"
        figure.text(start, bottom - 0.03, f"{t_s[0]:.1f} s", color=FAINT, fontsize=8)
        figure.text(start + along, bottom - 0.03, below, color=FAINT, fontsize=8, ha="right")
        over = figure.add_axes((start, bottom, along, height))
        over.set(xlim=_limits(t_s), ylim=(0, 1))
        over.axis("off")
        self._cursor = over.axvline(t_s[0], color=_NOW, lw=1.3, animated=True)

    def _draw(self, strip: Axes, error_px: Float[Real, "F"], most: float) -> None:
        """The curve of one camera, cut off at the top of its strip."""
        error_px = np.minimum(error_px, most)
        strip.set_facecolor("#eeece5")
        strip.fill_between(self._t_s, error_px, color=_CURVE, alpha=0.25)
        strip.plot(self._t_s, error_px, color=_CURVE, lw=1.1)
        strip.set(ylim=(0, most), xticks=[], yticks=[], xlim=_limits(self._t_s))
        for spine in strip.spines.values():
            spine.set_visible(False)

    def at(self, number: int) -> list[Artist]:
        """What moves, as it is in that picture of the film."""
        self._cursor.set_xdata([self._t_s[number]] * 2)
        for value, error in zip(self._values, self._errors[number], strict=True):
            value.set_text(f"{error:.1f}" if np.isfinite(error) else "-")
        return [self._cursor, *self._values]


def _draw_words(figure: Figure, name: str, place: tuple[float, float, float, float]) -> Text:
    """A camera's name left of its strip, and right of it the text that has the value of now;
    `place` is left, right, bottom and height of the strip.
    """
    left, right, bottom, tall = place
    middle = bottom + 0.5 * tall
    size = float(np.clip(0.42 * tall * figure.get_figheight() * 72, 6.5, 10))
    figure.text(left - 0.006, middle, name, ha="right", va="center", fontsize=size, color=INK)
    return figure.text(
        right + 0.006, middle, "", va="center", fontsize=size, color=INK, animated=True
    )


def _limits(t_s: Float[Real, "F"]) -> tuple[float, float]:
    """Of the time axis; of a single moment too."""
    return float(t_s[0]), max(float(t_s[-1]), float(t_s[0]) + 1e-3)
