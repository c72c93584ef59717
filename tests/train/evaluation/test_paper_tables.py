"""The paper's tables made again on tiny datasets, from the label files to the printed figures."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cvsf.engine.engine import load_engine
from cvsf.skeleton import Array
from cvsf.system.errors import Refusal
from tests.support import datasets
from train.data.datasets import published
from train.data.instants import joined
from train.evaluation.paper_results import SIX_JOINTS
from train.evaluation.paper_tables import Row, Sums, show_table, table
from train.evaluation.score_lifter import score


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One tiny folder of each dataset."""
    place = tmp_path_factory.mktemp("datasets")
    return {
        "human3.6m": datasets.human36m(place / "h36m"),
        "mpi-inf-3dhp": datasets.mpi_inf_3dhp(place / "3dhp"),
        "skipose": datasets.skipose(place / "ski"),
    }


@pytest.fixture(scope="module")
def shipped() -> Row:
    """The engine inside the package."""
    return load_engine().lift_many, None


def printed(facts: dict[str, Any]) -> str:
    out = io.StringIO()
    show_table(facts, Console(file=out, width=120))
    return out.getvalue()


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (1, "human3.6m"),
        (2, "human3.6m"),
        (2, "mpi-inf-3dhp"),
        (2, "skipose"),
        (3, "human3.6m"),
        (4, "mpi-inf-3dhp"),
        (5, "skipose"),
    ],
)
def test_a_table_has_our_rows_beside_the_papers(
    folders: dict[str, Path], shipped: Row, number: int, name: str
) -> None:
    facts = table(number, folders[name], {"s1s2": shipped})
    assert json.loads(json.dumps(facts)) == facts
    assert facts["dataset"] == name
    assert list(facts["rows"]) == ["s1s2"]
    assert facts["one_view"] == facts["rows"]["s1s2"]["one_view"]
    for key in ("frames", "one_view", "one_view_refined", "fused", "refined_2d", "jdr"):
        assert key in facts
    assert 5 < facts["one_view"]["p_mpjpe_mm"] < facts["one_view"]["n_mpjpe_mm"] < 150
    text = printed(facts)
    for figures in facts["paper"].values():
        assert all(f"{figure:.1f}" in text for figure in figures.values())
    if number > 2:
        assert f"{facts['fused']['p_mpjpe_mm']:.1f}" in text


def test_a_tables_figures_are_those_of_all_sessions_scored_together(
    folders: dict[str, Path], shipped: Row
) -> None:
    """The sums over sessions of unequal numbers of views are the means over everything."""
    whole = joined(list(published(folders["skipose"], None, "test")))
    expected = score(shipped[0], whole)
    facts = table(5, folders["skipose"], {"ours": shipped})
    for way in ("one_view", "one_view_refined", "fused"):
        assert facts[way] == pytest.approx(expected[way], rel=1e-4)
    assert facts["frames"] == expected["frames"]
    assert facts["refined_2d"] == pytest.approx(
        {k: v for k, v in expected["refined_2d"].items() if v is not None}, rel=1e-4
    )
    for joint, rates in expected["jdr"].items():
        assert facts["jdr"][joint] == pytest.approx(rates, abs=1e-6)


def test_table_1_is_by_action_and_its_mean_is_over_the_actions(
    folders: dict[str, Path], shipped: Row
) -> None:
    facts = table(1, folders["human3.6m"], {"ours": shipped})
    actions = facts["actions"]
    assert set(actions) == {"Directions", "WalkDog", "mean"}
    assert actions["mean"] == pytest.approx((actions["Directions"] + actions["WalkDog"]) / 2)
    walk_dog = [
        score(shipped[0], part)["one_view"]["p_mpjpe_mm"]
        for part in published(folders["human3.6m"], None, "test")
        if part.session[0].endswith("WalkingDog")
    ]
    assert actions["WalkDog"] == pytest.approx(np.mean(walk_dog), rel=0.02)
    assert "4 of 60 recordings" in printed(facts)


def test_table_2_is_of_six_joints_and_of_what_several_cameras_see(
    folders: dict[str, Path], shipped: Row
) -> None:
    facts = table(2, folders["mpi-inf-3dhp"], {"ours": shipped})
    assert facts["split"] == "train"
    assert tuple(facts["six"]) == SIX_JOINTS
    jdr = facts["jdr"]
    both = (jdr["lwrist"]["after"] + jdr["rwrist"]["after"]) / 2
    assert facts["six"]["wrist"]["after"] == pytest.approx(both)
    assert facts["paper"]["Single"]["wrist"] == 96.9


def test_the_true_2d_replaces_the_detected_2d_only_when_asked_for(
    folders: dict[str, Path], shipped: Row
) -> None:
    detected, true = (
        table(3, folders["human3.6m"], {"ours": shipped}, truth_2d=asked) for asked in (False, True)
    )
    assert true["six"]["wrist"]["before"] == 1
    assert true["refined_2d"]["good_before"] < 1e-6 < detected["refined_2d"]["good_before"]
    assert "the true 2D" in printed(true)
    assert "detected 2D" in printed(detected)


def test_a_table_of_another_dataset_is_refused(folders: dict[str, Path], shipped: Row) -> None:
    with pytest.raises(Refusal, match=r"table 4 is of MPI-INF-3DHP, but .* is SkiPose"):
        table(4, folders["skipose"], {"ours": shipped})
    with pytest.raises(Refusal, match="table is 6, expected one of 1, 2, 3, 4, 5"):
        table(6, folders["skipose"], {"ours": shipped})
    with pytest.raises(Refusal, match="no row to fill"):
        table(5, folders["skipose"], {})


def test_a_dataset_in_which_nobody_was_detected_is_refused(
    folders: dict[str, Path], shipped: Row, tmp_path: Path
) -> None:
    folder = datasets.skipose(tmp_path)
    for path in (folder / "detections" / "test").rglob("*.json"):
        path.write_text("[]")
    with pytest.raises(Refusal, match="no person was detected"):
        table(5, folder, {"ours": shipped})


def test_sums_leave_out_missing_and_nan_values_and_zero_weights() -> None:
    sums = Sums()
    for value, weight in ((1.0, 1.0), (4.0, 2.0), (None, 5.0), (float("nan"), 5.0), (9.0, 0.0)):
        sums.add(("a", "b"), value, weight)
    assert sums.means() == {"a": {"b": 3.0}}


def test_every_row_is_lifted_by_its_own_engine(folders: dict[str, Path], shipped: Row) -> None:
    def worse(keypoints: Array, confidence: Array, image: Array) -> dict[str, Array]:
        found = shipped[0](keypoints, confidence, image)
        return found | {"canonical": found["canonical"][..., ::-1]}

    facts = table(5, folders["skipose"], {"mirrored": (worse, None), "ours": shipped})
    rows = facts["rows"]
    assert list(rows) == ["mirrored", "ours"]
    assert facts["one_view"] == rows["ours"]["one_view"]
    assert rows["mirrored"]["one_view"]["p_mpjpe_mm"] > rows["ours"]["one_view"]["p_mpjpe_mm"]
    assert rows["mirrored"]["fused"] == rows["ours"]["fused"]
