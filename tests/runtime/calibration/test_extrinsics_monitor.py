"""Whether every camera still stands where it was found: one is knocked, or none."""

from dataclasses import replace

import numpy as np
import pytest

from capture.simulator.scene import camera_at, rotated_left
from cvsf.multiview.calibration import Calibration
from cvsf.multiview.rig import Rig
from runtime.calibration.extrinsics_monitor import ExtrinsicsMonitor
from tests.support.filmed import HZ, SIZE, Filmed, film_skier
from tests.support.instants import instants_of
from tests.support.made_calibration import calibration_of

KNOCK_S, KNOCKED = 2.0, 2


@pytest.fixture(scope="module")
def take() -> Filmed:
    """Four seconds; camera 2 is turned by five degrees after two."""
    return film_skier(4, knock=(KNOCKED, 5.0, KNOCK_S))


@pytest.fixture(scope="module")
def calibration(take: Filmed) -> Calibration:
    """The cameras as they stood before the knock."""
    views = [rotated_left(v, -5.0) if i == KNOCKED else v for i, v in enumerate(take.views)]
    rotation = np.stack(
        [camera_at(v, np.zeros(1, np.int64), np.zeros((1, 3)))[0][0] for v in views]
    )
    none = np.zeros(len(views))
    rig = Rig(
        cameras=take.observations.cameras,
        image_px=np.tile(np.array(SIZE, float), (len(views), 1)),
        view_from_world=rotation,
        translation=-np.einsum("vij,vj->vi", rotation, np.stack([view.eye for view in views])),
        focal_px=np.array([view.focal_px for view in views]),
        centre_px=np.tile(np.array(SIZE) / 2, (len(views), 1)),
        distortion=np.zeros((len(none), 5)),
        delay_s=none,
    )
    return calibration_of(rig, instants=200)


def watched(
    monitor: ExtrinsicsMonitor,
    take: Filmed,
    first_s: float,
    last_s: float,
    excluded: tuple[str, ...] = (),
) -> list[tuple[float, str, float]]:
    """When which camera was excluded, and since when, in seconds of the take."""
    found = []
    begun_s = take.observations.t_s[0]
    instants = instants_of(take.observations)
    for n in range(round(first_s * HZ), round(last_s * HZ)):
        if moved := monitor.add(instants[n], take.joints[n], excluded):
            found.append((instants[n].t_s - begun_s, moved[0], moved[1] - begun_s))
    return found


def test_cameras_that_stand_still_are_never_reported_as_moved(
    take: Filmed, calibration: Calibration
) -> None:
    monitor = ExtrinsicsMonitor(calibration)
    assert watched(monitor, take, 0, KNOCK_S) == []
    assert monitor.unclear_s == 0
    assert (monitor.recent() < 0.04).all()
    assert (monitor.recent() > 0).any()


def test_a_knocked_camera_is_named_within_a_second_with_the_moment_of_the_knock(
    take: Filmed, calibration: Calibration
) -> None:
    monitor = ExtrinsicsMonitor(calibration)
    at_s, camera, since_s = watched(monitor, take, 0, 4)[0]
    assert camera == f"cam{KNOCKED}"
    assert KNOCK_S < at_s < KNOCK_S + 1
    assert since_s == pytest.approx(KNOCK_S, abs=1.5 / HZ)
    assert monitor.recent().argmax() == KNOCKED
    assert not monitor.fits(camera)


def test_a_camera_reported_already_is_not_named_again(
    take: Filmed, calibration: Calibration
) -> None:
    assert watched(ExtrinsicsMonitor(calibration), take, 0, 4, (f"cam{KNOCKED}",)) == []


def test_a_camera_fits_again_once_its_pictures_are_right_for_the_whole_window(
    take: Filmed, calibration: Calibration
) -> None:
    monitor, camera = ExtrinsicsMonitor(calibration), f"cam{KNOCKED}"
    watched(monitor, take, 0, 0.3)
    assert not monitor.fits(camera)  # too early to say
    watched(monitor, take, 0.3, 1.5)
    assert monitor.fits(camera)


def test_a_camera_without_observations_neither_fits_nor_disagrees(
    take: Filmed, calibration: Calibration
) -> None:
    blind = replace(
        take, observations=replace(take.observations, confidence=take.observations.confidence * 0)
    )
    monitor = ExtrinsicsMonitor(calibration)
    assert monitor.recent().tolist() == [0, 0, 0, 0]
    assert watched(monitor, blind, 0, 1.5) == []
    assert monitor.recent().tolist() == [0, 0, 0, 0]
    assert not any(monitor.fits(camera) for camera in calibration.rig.cameras)
