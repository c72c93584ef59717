"""The skier's surface: tubes of rings, where the joints put them, with normals that face out."""

from dataclasses import replace

import numpy as np
import pytest

from capture.simulator.mesh import (
    AROUND,
    CENTRE_PARTS,
    SIDE_PARTS,
    Figure,
    cross,
    facet_normals,
    make_figure,
    surface,
)
from capture.simulator.scene import Slope, make_slope
from capture.simulator.skier import Pose, pose_skier
from cvsf.skeleton import H36M_16

STAMPS = np.array([0, 1_300_000_000, 7_700_000_000], np.int64)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return make_figure()


@pytest.fixture(scope="module")
def slope() -> Slope:
    return make_slope(5, False)


@pytest.fixture(scope="module")
def pose(slope: Slope) -> Pose:
    return pose_skier(slope.build, slope.course, STAMPS)


def test_a_tube_of_n_rings_has_n_less_one_bands_of_facets_that_close_around(figure: Figure) -> None:
    tubes = [part[4] for part in CENTRE_PARTS] + 2 * [part[4] for part in SIDE_PARTS]
    assert len(figure.rings) == sum(len(tube) for tube in tubes)
    assert len(figure.corners) == AROUND * sum(len(tube) - 1 for tube in tubes)
    used = np.bincount(figure.corners.ravel(), minlength=len(figure.rings) * AROUND)
    # four facets meet in a vertex, two at the open ends of a tube
    assert set(used.tolist()) == {2, 4}
    assert (used == 2).sum() == 2 * AROUND * len(tubes)


def test_the_rings_of_a_thigh_stand_across_the_bone_at_their_widths(
    figure: Figure, slope: Slope, pose: Pose
) -> None:
    vertices = surface(figure, slope.build, pose).reshape(len(STAMPS), -1, AROUND, 3)
    first = figure.corners[figure.part == figure.names.index("thigh")].min() // AROUND
    hip, knee = (pose.joints[:, H36M_16.index(name)] for name in ("lhip", "lknee"))
    bone = (knee - hip) / np.linalg.norm(knee - hip, axis=-1, keepdims=True)
    for ring, (along, width, depth, shift) in enumerate(SIDE_PARTS[0][4], start=first):
        middle = vertices[:, ring].mean(1)
        off = middle - (hip + along * (knee - hip))
        assert np.linalg.norm(off, axis=-1) == pytest.approx(shift, abs=1e-9)
        spokes = vertices[:, ring] - middle[:, None]
        assert np.abs(spokes @ bone[..., None]).max() < 1e-9
        length = np.linalg.norm(spokes, axis=-1)
        assert length[:, 0] == pytest.approx(width)
        assert length.min() >= min(width, depth) - 1e-9
        assert length.max() <= max(width, depth) + 1e-9


def test_a_skier_moved_by_two_metres_has_his_surface_moved_by_two_metres(
    figure: Figure, slope: Slope, pose: Pose
) -> None:
    shift = np.array([2.0, -1.0, 0.5])
    moved = replace(pose, joints=pose.joints + shift, sole=pose.sole + shift)
    before, after = (surface(figure, slope.build, p) for p in (pose, moved))
    assert after == pytest.approx(before + shift, abs=1e-9)


def test_the_normals_of_the_belly_are_of_length_one_and_face_away_from_its_middle(
    figure: Figure, slope: Slope, pose: Pose
) -> None:
    vertices = surface(figure, slope.build, pose).astype(np.float32)
    normals = facet_normals(figure, vertices)
    assert np.linalg.norm(normals, axis=-1) == pytest.approx(1, abs=1e-4)
    belly = figure.part == figure.names.index("belly")
    facets = vertices[:, figure.corners[belly]].mean(2)
    outwards = facets - facets.mean(1, keepdims=True)
    axis = pose.joints[:, H36M_16.index("spine")] - pose.joints[:, H36M_16.index("hip")]
    axis = (axis / np.linalg.norm(axis, axis=-1, keepdims=True))[:, None]
    outwards = outwards - (outwards * axis).sum(-1, keepdims=True) * axis
    assert (outwards * normals[:, belly]).sum(-1).min() > 0


def test_the_cross_product_equals_that_of_numpy() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    assert cross(a, b) == pytest.approx(np.cross(a, b))
    assert cross(np.array([1.0, 0, 0]), np.array([0, 1.0, 0])).tolist() == [0, 0, 1]
