"""Instants that every engine is asked: all numbers of views, nobody at all, joints lost."""

import torch

from cvsf.engine.engine import BUCKETS
from cvsf.messages import MAX_VIEWS
from cvsf.skeleton import H36M_16
from train.batches.probe_inputs import GOLDEN_VIEWS, golden_sample, no_person, probe_inputs


def test_a_sample_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    one, again, other = (golden_sample(4, H36M_16, seed) for seed in (4, 4, 14))
    for name, tensor in one.items():
        assert torch.equal(tensor, again[name])
    assert not torch.equal(one["keypoints_px"], other["keypoints_px"])


def test_a_body_is_within_the_pictures_of_its_cameras_and_one_joint_was_not_found() -> None:
    sample = golden_sample(4, H36M_16, 0)
    pixels, confidence = sample["keypoints_px"], sample["confidence"]
    assert pixels.shape == (1, 4, len(H36M_16), 2)
    assert ((pixels > 0) & (pixels < sample["image_px"][:, :, None])).all()
    assert (confidence == 0).sum() == 1
    assert confidence[0, -1, -1] == 0


def test_of_five_views_or_more_the_second_has_no_person() -> None:
    for views in (3, 4, 5, 16):
        present = golden_sample(views, H36M_16, 1)["confidence"][0].amax(-1) > 0
        assert present.tolist() == [view != 1 or views < 5 for view in range(views)]


def test_an_instant_of_nobody_keeps_only_the_size_of_its_pictures() -> None:
    sample = golden_sample(3, H36M_16, 2)
    empty = no_person(sample)
    assert torch.equal(empty["image_px"], sample["image_px"])
    assert not empty["keypoints_px"].any()
    assert not empty["confidence"].any()


def test_probe_inputs_are_of_every_number_of_views_and_of_the_edges_of_every_bucket() -> None:
    asked = list(probe_inputs(H36M_16))
    views = [question.rows[0]["confidence"].shape[1] for question in asked]
    assert sorted(views) == list(range(1, MAX_VIEWS + 1))
    many = asked[views.index(GOLDEN_VIEWS)]
    for edge in BUCKETS:
        assert {edge, edge + 1} <= set(many.batches)
    assert min(many.batches) > 0
    rows = [row["confidence"][0].amax(-1) > 0 for row in many.rows]
    assert any(not row.any() for row in rows), "nobody"
    assert any(row.tolist() == [True, False, False, False] for row in rows), "one view"
    assert any(not row["image_px"].any() for row in many.rows), "no picture size"
