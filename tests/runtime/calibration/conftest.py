"""A take with a knocked camera, and the calibration that held before the knock."""

import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.multiview.rig import Calibration
from runtime.calibration.online_calibrator import Surveying
from tests.support.filmed import HZ, Filmed, film_skier


@pytest.fixture(scope="session")
def take() -> Filmed:
    """Nine seconds before four cameras; cam2 is turned by 5 degrees after 6 s."""
    return film_skier(9, knock=(2, 5.0, 6.0))


@pytest.fixture(scope="session")
def known(take: Filmed) -> Calibration:
    """What was found from the first 5.5 s, in metres."""
    surveying, found = Surveying(), []
    surveying.scale = Scale(height_m=1.75)
    for n in range(round(5.5 * HZ)):
        surveying.see(take.observations.take(slice(n, n + 1)))
        found += surveying.think()
    return found[-1].calibration
