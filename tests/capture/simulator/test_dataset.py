"""`cvsf simulate`: folders of pictures with their truth, the same for the same seed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.simulator.dataset import render_seed, simulate
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal

LAYOUT = {
    "keypoints_px", "confidence", "truth_px", "joints_mm", "head_px", "session", "subject", "frame",
    "t_s", "joint_names", "subject_names", "image_px", "camera_R", "camera_t_mm", "focal_px",
}  # fmt: skip


def test_the_same_seed_gives_the_same_folder(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
        render_seed(folder, 77, cams=2, frames=2, size=(160, 120), moving=True)
    files = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*.jpg"))
    assert [file.name for file in files] == [f"cam{c}-0000{i}.jpg" for c in (0, 1) for i in (0, 1)]
    for file in files:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes()
    with np.load(folders[0] / "seed-000077" / "truth.npz") as truth:
        assert set(truth) >= LAYOUT
        assert truth["truth_px"].shape == (2, 2, len(H36M_16), 2)


def test_the_contact_sheet_has_four_cameras_a_row(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    simulate(seeds="5:7", size="160x120", contact_sheet=sheet)
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape == (120, 320, 3)
    with pytest.raises(Refusal, match="expected A:B"):
        simulate(out=tmp_path, seeds="7")


@pytest.mark.parametrize("seeds", ["7", "5:5", "7:5", "a:b", ":3", "-1:3"])
def test_a_range_of_seeds_that_is_none_is_refused(tmp_path: Path, seeds: str) -> None:
    with pytest.raises(Refusal, match="expected A:B with A < B"):
        simulate(out=tmp_path, seeds=seeds)


def test_pictures_without_a_folder_to_write_to_are_refused() -> None:
    with pytest.raises(Refusal, match="give --out DIR or --contact-sheet"):
        simulate(seeds="0:1")
