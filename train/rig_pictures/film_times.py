"""Which instants of a take a short film shows, and how fast."""

from dataclasses import dataclass

import numpy as np

from cvsf.shapes import Float, Index, Int, Real

# guesses, not measured
MOST_S = 20.0  # of a film; of a longer take the middle is shown
_SHORT_S, _SLOW = 5.0, 0.25  # a take shorter than that is shown at a quarter of its speed
_NEAR = 1.5  # usual intervals; farther from an instant nothing is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTimes:
    """The moments of the pictures of a film."""

    t_s: Float[Real, "F"]
    """Since the first instant of the take."""
    row: Int[Index, "F"]
    """The nearest instant; -1 in a pause of the take."""
    speed: float
    take_s: float

    @property
    def sentence(self) -> str:
        """What part of the take it is, and how fast, in a few words."""
        shown_s = float(np.ptp(self.t_s))
        part = f"{self.take_s:.2f} s"
        if self.take_s > MOST_S:
            part = f"the middle {shown_s:.0f} s of {self.take_s:.0f} s"
        return part if self.speed == 1 else f"{part}, at a quarter of the speed"


def film_times(t_s: Float[Real, "N"], per_second: int) -> FilmTimes:
    """The moments of a film of so many pictures a second, of a take with instants at `t_s`
    (ascending, at least one): all of it, slowed down if it is short, or the middle 20 s.
    """
    since_s = t_s - t_s[0]
    take_s = float(since_s[-1])
    speed = 1.0 if take_s >= _SHORT_S else _SLOW
    shown_s = min(take_s, MOST_S)
    pictures = max(1, round(shown_s / speed * per_second))
    moments = (take_s - shown_s) / 2 + np.linspace(0, shown_s, pictures)
    after = np.clip(np.searchsorted(since_s, moments), 1, max(len(since_s) - 1, 1))
    after = np.minimum(after, len(since_s) - 1)
    before = np.maximum(after - 1, 0)
    is_later = since_s[after] - moments < moments - since_s[before]
    row = np.where(is_later, after, before)
    usual_s = float(np.median(np.diff(since_s))) if len(since_s) > 1 else np.inf
    is_near = np.abs(since_s[row] - moments) <= _NEAR * usual_s
    return FilmTimes(t_s=moments, row=np.where(is_near, row, -1), speed=speed, take_s=take_s)
