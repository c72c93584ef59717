"""Cameras found from the first second, improved in the same world, found again when knocked."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cvsf.calibration.world_frame import Scale
from cvsf.messages import pack, unpack
from cvsf.multiview.observations import Sightings
from cvsf.multiview.rig import Calibration
from cvsf.reconstruction.reconstruct import place
from runtime.calibration.keyframes import Gallery
from runtime.calibration.observation_codec import arranged, from_map, joined, to_map
from runtime.calibration.online_calibrator import Found, Surveying, known_scale
from runtime.calibration.resection import resected
from runtime.calibration.view_consistency import blamed, fit, misfit, triangulated
from tests.support.filmed import HZ, Filmed, film_skier, rooted_mm

STATURE_M = 1.75


@pytest.fixture(scope="module")
def take() -> Filmed:
    return film_skier(9, knock=(2, 5.0, 6.0))


@pytest.fixture(scope="module")
def known(take: Filmed) -> Calibration:
    return _begun(take, 5.5)[-1].calibration


def _shown(surveying: Surveying, seen: Sightings, first: int, last: int) -> list[Found]:
    """What is found while the instants come in, as soon as it can be."""
    found = []
    for n in range(first, last):
        surveying.see(seen.take(slice(n, n + 1)))
        found += surveying.think()
    return found


def _begun(take: Filmed, seconds: float) -> list[Found]:
    surveying = Surveying()
    surveying.scale_of = known_scale({"height_m": STATURE_M})
    return _shown(surveying, take.sightings, 0, round(seconds * HZ))


def test_a_second_of_movement_gives_metres_and_more_of_it_stays_in_the_same_world(
    take: Filmed,
) -> None:
    found = _begun(take, 5.5)
    assert [one.cause for one in found[:2]] == ["first", "better"]
    assert found[0].calibration.instants <= 2 * HZ
    assert {one.calibration.scale_source for one in found} == {"height"}
    still = take.sightings.take(slice(0, round(5.5 * HZ)))
    placed = [place(still, one.calibration).joints for one in found]
    errors = [rooted_mm(joints, take.joints[: len(joints)]) for joints in placed]
    assert errors[0] < 45
    assert errors[-1] < 25
    steps = [np.linalg.norm(b[:, 0] - a[:, 0], axis=-1).mean() for a, b in pairwise(placed)]
    assert max(steps) < 0.3, "the skeleton does not jump"
    assert placed[-1][:, 0, 2].mean() == pytest.approx(0.9, abs=0.3), "the ground is at 0"


def test_a_knocked_camera_is_found_in_its_new_place(take: Filmed, known: Calibration) -> None:
    surveying = Surveying()
    surveying.hold(known)
    knocked_s = float(take.sightings.t_s[6 * HZ])
    assert _shown(surveying, take.sightings, 5 * HZ, 6 * HZ + 10) == []
    surveying.doubt("cam2", knocked_s)
    found = _shown(surveying, take.sightings, 6 * HZ + 10, 7 * HZ + 10)
    assert found[0].cause == "moved"
    assert found[0].moved == ("cam2",)
    before, after = known.rig, found[0].calibration.rig
    turn = after.view_from_world[2] @ before.view_from_world[2].T
    assert np.degrees(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(5, abs=0.5)
    assert np.array_equal(after.view_from_world[:2], before.view_from_world[:2])


def test_a_camera_that_was_carried_away_is_found_too(take: Filmed, known: Calibration) -> None:
    seen = arranged(take.sightings.take(slice(0, 40)), known.rig.cameras)
    joints = triangulated(known.rig, seen, [0, 1, 3])
    elsewhere = known.rig.moved(np.eye(3), np.array([1.5, -0.7, 0.2]), 1.0)
    found = resected(
        elsewhere, 2, joints, seen.keypoints_px[:, 2].astype(float), seen.confidence[:, 2]
    )
    assert found is not None
    np.testing.assert_allclose(found.centres[2], known.rig.centres[2], atol=0.25)


def test_a_view_of_somebody_else_is_no_place_for_a_camera(take: Filmed, known: Calibration) -> None:
    seen = arranged(take.sightings.take(slice(0, 40)), known.rig.cameras)
    joints = triangulated(known.rig, seen, [0, 1, 3])
    other = np.random.default_rng(1).uniform(0, 480, seen.keypoints_px[:, 2].shape)
    assert resected(known.rig, 2, joints, other, seen.confidence[:, 2]) is None
    assert resected(known.rig, 2, joints[:1], other[:1], seen.confidence[:1, 2]) is None


def test_the_camera_to_blame_is_the_one_without_which_the_others_agree(
    take: Filmed, known: Calibration
) -> None:
    after = arranged(take.sightings.take(slice(6 * HZ, 6 * HZ + 12)), known.rig.cameras)
    before = arranged(take.sightings.take(slice(5 * HZ, 5 * HZ + 12)), known.rig.cameras)
    assert fit(known.rig, before) < 0.02 < fit(known.rig, after)
    assert blamed(known.rig, after, range(4), 0.03, 0.04) == 2
    assert blamed(known.rig, after, [0, 1, 2], 0.03, 0.04) == 2
    assert blamed(known.rig, after, [1, 2], 0.03, 0.04) is None, "of two, neither can be blamed"
    assert blamed(known.rig, before, range(4), 0.03, 0.04) is None
    nobody = arranged(before, before.cameras, without=before.cameras)
    assert np.isnan(misfit(known.rig, triangulated(known.rig, nobody, range(4)), nobody)).all()


def test_movement_that_tells_nothing_is_refused_in_words_and_tried_again(take: Filmed) -> None:
    surveying = Surveying()
    one = take.sightings.take(slice(0, 1))
    alone = arranged(one, one.cameras, without=one.cameras[1:])
    for _ in range(40):
        surveying.see(alone)
    assert surveying.think() == []
    assert surveying.reason == ""
    wild = take.sightings.take(slice(0, 60))
    noise = np.random.default_rng(0).uniform(0, 480, wild.keypoints_px.shape).astype(np.float32)
    for n in range(60):
        shown = wild.take(slice(n, n + 1))
        surveying.see(replace(shown, keypoints_px=noise[n : n + 1]))
    assert surveying.think() == []
    assert surveying.reason
    assert surveying.news_of_refusal


def test_what_is_known_in_metres_names_cameras_that_are_there() -> None:
    cameras = ("left", "right", "top")
    assert known_scale({})(cameras) == Scale()
    assert known_scale({"bone": ["thigh", 0.44]})(cameras) == Scale(bone=("thigh", 0.44))
    told = {"distance": ["left", "top", 7.5]}
    assert known_scale(told)(cameras) == Scale(cameras=(0, 2, 7.5))
    with pytest.raises(Exception, match="top"):
        known_scale(told)(("left", "right"))


def test_the_gallery_is_bounded_and_keeps_the_last_seconds_and_what_differs(
    take: Filmed,
) -> None:
    gallery = Gallery()
    count = len(take.sightings)
    for again in range(6):
        for n in range(count):
            seen = take.sightings.take(slice(n, n + 1))
            gallery.add(_at(seen, float(seen.t_s[0]) + again * count / HZ))
    kept = gallery.since(-np.inf)
    assert kept is not None
    assert 200 < len(kept) <= 480
    assert gallery.watched_s == pytest.approx(6 * count / HZ, abs=0.2)
    recent = gallery.since(gallery.newest_s - 5)
    assert recent is not None
    assert len(recent) == pytest.approx(5 * HZ, abs=2)
    assert np.all(np.diff(kept.t_s) > 0)
    middle_s = float(kept.t_s[len(kept) // 2])
    gallery.forget("cam1", middle_s)
    left = gallery.since(-np.inf)
    assert left is not None
    sure = left.confidence[:, left.cameras.index("cam1")]
    assert not sure[left.t_s < middle_s].any()
    assert sure[left.t_s >= middle_s].any()


def test_an_instant_crosses_the_socket_whole(take: Filmed) -> None:
    seen = take.sightings.take(slice(3, 4))
    again = from_map(unpack(pack(to_map(seen)), trusted=True))
    assert again.cameras == seen.cameras
    assert again.t_s == seen.t_s
    for name in ("keypoints_px", "confidence", "canonical", "view_from_canonical"):
        assert np.array_equal(getattr(again, name), getattr(seen, name))


def test_cameras_come_and_go_and_keep_their_places(take: Filmed) -> None:
    seen = take.sightings.take(slice(0, 1))
    two = seen.of_views([2, 0])
    whole = arranged(two, ("cam0", "cam1", "cam2"))
    assert np.array_equal(whole.keypoints_px[:, 2], seen.keypoints_px[:, 2])
    assert not whole.confidence[:, 1].any()
    assert not whole.image_px[1].any()
    both = joined([_at(seen, 2.0), _at(two, 1.0)])
    assert both.cameras == seen.cameras
    assert both.t_s.tolist() == [1.0, 2.0]
    assert both.confidence.any(-1).sum(1).tolist() == [2, int(seen.confidence.any(-1).sum())]


def _at(seen: Sightings, t_s: float) -> Sightings:
    return replace(seen, t_s=np.array([t_s]))
