"""A take with a knocked camera, and the calibration that held before the knock."""

import pytest

from cvsf.calibration.metric_scale import Scale
from cvsf.multiview.calibration import Calibration
from runtime.calibration.online_calibrator import OnlineCalibrator
from tests.support.filmed import HZ, Filmed, film_skier
from tests.support.instants import instants_of


@pytest.fixture(scope="session")
def take() -> Filmed:
    """Nine seconds before four cameras; cam2 is turned by 5 degrees after 6 s."""
    return film_skier(9, knock=(2, 5.0, 6.0))


@pytest.fixture(scope="session")
def known(take: Filmed) -> Calibration:
    """What was found from the first 5.5 s, in metres."""
    calibrator, found = OnlineCalibrator(), []
    calibrator.scale = Scale(height_m=1.75)
    for seen in instants_of(take.observations)[: round(5.5 * HZ)]:
        calibrator.add(seen)
        found += calibrator.update()
    return found[-1].calibration
