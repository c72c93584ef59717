"""A calibrated rig drawn in its world."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cvsf.multiview.rig import Body, Calibration, Rig, Sureness
from cvsf.reconstruction.reconstruct import Placed
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import STANDING
from train.evaluation.calibrate_and_score import Outcome
from train.evaluation.world_figure import Eye, draw_world


def outcome(frames: int = 8, **changed: Any) -> Outcome:
    """Four cameras 4 m around a body that walks past them, a metre and a half up."""
    around = np.array([0.3, 1.8, 3.5, 5.0])
    eyes = np.stack([4 * np.cos(around), 4 * np.sin(around), np.full(4, 1.5)], -1)
    back = -eyes * [1, 1, 0] / 4
    right = np.cross(back, [0, 0, 1.0])
    turn = np.stack([right, np.tile([0, 0, -1.0], (4, 1)), back], 1)
    four = np.full(4, 0.01)
    found = Calibration(
        rig=Rig(
            cameras=("cam0", "cam1", "cam2", "cam3"),
            image_px=np.tile([640.0, 480], (4, 1)),
            view_from_world=turn,
            translation=-np.einsum("vij,vj->vi", turn, eyes),
            focal_px=np.full(4, 500.0),
            centre_px=np.tile([320.0, 240], (4, 1)),
            radial=np.zeros(4),
            delay_s=np.zeros(4),
        ),
        body=Body(joint_set=H36M_16, bones=np.ones(len(H36M_16.bones))),
        sureness=Sureness(
            rotation_deg=four,
            position_share=four,
            focal_share=four,
            reprojection_px=four,
            reprojection_share=four,
        ),
        instants=frames,
        noise_share=0.01,
        scale_source="height",
    )
    body = np.array([STANDING[joint] for joint in H36M_16.joints]) + np.array([0, 0, 0.9])
    joints = body + np.linspace(-1, 1, frames)[:, None, None] * [1.0, 0, 0]
    facts: dict[str, Any] = {
        "name": "run_07",
        "duration_s": 2.0,
        "seconds": 1.0,
        "triangulation_s": 0.1,
        "found": found,
        "placed": Placed(
            joints=joints,
            deviation=np.zeros(joints.shape[:2]),
            views_seen=np.full(joints.shape[:2], 4),
            residual_share=np.zeros((frames, 4)),
        ),
        "t_s": np.linspace(5, 7, frames),
    }
    return Outcome(**facts | changed)


@pytest.fixture
def axes() -> Axes:
    return Figure(figsize=(6, 5), dpi=50).add_axes((0, 0, 1, 1))


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_point_is_seen_smaller_the_farther_it_is_away() -> None:
    eye = Eye(np.array([0.0, 0, 10]), np.eye(3))  # it looks down
    np.testing.assert_allclose(eye.see([[1.0, 2, 5], [1, 2, 0]]), [[0.2, 0.4], [0.1, 0.2]])
    np.testing.assert_allclose(eye.far([[1.0, 2, 5], [1, 2, 0]]), [5, 10])


def test_every_camera_is_named_with_its_focal_length_and_height(axes: Axes) -> None:
    step = draw_world(axes, outcome(), [(0, "red"), (7, "blue")], 7, {})
    assert step == 1
    assert words(axes) == [f"cam{view}\n500 px, 1.5 m up" for view in range(4)]
    assert axes.get_legend() is None


def test_the_whole_rig_lies_within_the_drawing(axes: Axes) -> None:
    draw_world(axes, outcome(), [(0, "red")], 0, {})
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    named = np.array([text.xy for text in axes.texts])  # type: ignore[attr-defined]
    assert (named > [left, low]).all()
    assert (named < [right, high]).all()


def test_true_cameras_are_marked_where_they_are_known(axes: Axes) -> None:
    truth = np.array([[4.0, 0, 1.5], [0, 4, 1.5]])
    draw_world(axes, outcome(cameras={"true_centres": truth}), [(0, "red")], 0, {})
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["true camera"]


def test_pictures_are_drawn_in_front_of_the_cameras_that_took_them(axes: Axes) -> None:
    still = np.full((480, 640, 3), 200, np.uint8)
    draw_world(axes, outcome(), [(0, "red")], 0, {1: still, 3: still})
    assert len(axes.images) == 2


def test_lines_of_the_ground_are_farther_apart_under_a_large_rig(axes: Axes) -> None:
    made = outcome()
    assert made.found is not None
    wide = replace(made.found.rig, translation=made.found.rig.translation * 10)
    found = replace(made.found, rig=wide)
    assert draw_world(axes, replace(made, found=found), [(0, "red")], 0, {}) == 5


def test_cameras_that_pan_are_drawn_as_they_were_at_that_row(axes: Axes) -> None:
    made = outcome()
    assert made.found is not None
    rig = made.found.rig
    moving = replace(
        rig,
        view_from_world=np.tile(rig.view_from_world, (8, 1, 1, 1)),
        translation=np.tile(rig.translation, (8, 1, 1)),
        focal_px=np.linspace(500, 570, 8)[:, None] * np.ones(4),
    )
    found = replace(made.found, rig=moving)
    draw_world(axes, replace(made, found=found), [(0, "red")], 3, {})
    assert words(axes)[2] == "cam2\n530 px, 1.5 m up"
