"""The course of a run as a picture."""

from pathlib import Path

import cv2
import numpy as np

from train.loop.curves import draw_curves


def test_a_curve_is_drawn_with_and_without_a_truth_and_without_points(tmp_path: Path) -> None:
    points = [{"step": s, "loss": 9.0 / s, "stage": 1, "views_apart": 0.3} for s in (1, 2, 3)]
    inked = {}
    for name, curve in {
        "with truth": [point | {"one_view": 90.0, "fused": 40.0} for point in points],
        "without": points,
        "of one point": points[:1],
        "of none": [],
    }.items():
        draw_curves(curve, tmp_path / "a.png", f"s1s2 {name}", 2)
        picture = cv2.imread(str(tmp_path / "a.png"))
        assert picture is not None
        assert picture.shape == (504, 1200, 3)
        assert len(np.unique(picture.astype(np.int64) @ [1, 256, 65536])) > 50  # colours
        inked[name] = int(np.ptp(picture, axis=-1).astype(bool).sum())  # axes and words are grey
    assert inked["of none"] == 0
    assert inked["with truth"] > inked["without"] > inked["of one point"] > 0
