"""The distance of a person whom one camera alone sees."""

import numpy as np

from runtime.calibration.depth_filter import DepthFilter


def test_a_distance_from_size_alone_is_filtered_along_the_ray_only() -> None:
    random, depth = np.random.default_rng(0), DepthFilter()
    centre = np.array([0.0, 0.0, 1.0])
    truly = [np.array([0.4, 8 + 2 * t, 1.0]) for t in np.arange(0, 3, 0.05)]
    for n in range(20):
        depth.measured(truly[n], n * 0.05)
    off, raw = [], []
    for n in range(20, 60):
        told = centre + (truly[n] - centre) * random.normal(1, 0.03)
        shift = depth.shift(told, centre, n * 0.05)
        assert np.linalg.norm(np.cross(shift, told - centre)) < 1e-9
        off.append(np.linalg.norm(told + shift - truly[n]))
        raw.append(np.linalg.norm(told - truly[n]))
    assert np.mean(off) < 0.6 * np.mean(raw)
    assert not depth.shift(np.ones(3), centre, 90.0).any(), "after a pause it begins anew"


def test_where_size_and_motion_agree_the_skeleton_is_not_moved() -> None:
    depth, centre = DepthFilter(), np.array([0.0, 0.0, 1.0])
    at = [np.array([0.0, 6 + 1.5 * t, 1.0]) for t in np.arange(0, 1, 0.05)]
    for n in range(12):
        depth.measured(at[n], n * 0.05)
    for n in range(12, 20):
        assert np.linalg.norm(depth.shift(at[n], centre, n * 0.05)) < 0.01
