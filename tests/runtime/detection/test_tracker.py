"""Whom a view follows: the largest at first, then the same one."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from runtime.detection.tracker import Track

Floats = npt.NDArray[np.float64]
PERIOD_NS = 50_000_000
GATE = 0.2


def box(x: float, y: float, height: float) -> list[float]:
    return [x - height / 4, y - height / 2, x + height / 4, y + height / 2, 0.9]


def joints_of(person: list[float]) -> Floats:
    """Joints that span the box."""
    x0, y0, x1, y1 = person[:4]
    return np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1], [(x0 + x1) / 2, (y0 + y1) / 2]])


class View:
    """A track fed with what a perfect pair of networks would find."""

    def __init__(self, every: int = 10) -> None:
        self.track = Track(every, 0, 0.0)
        self.instant = 0

    @property
    def t_ns(self) -> int:
        return self.instant * PERIOD_NS

    def see(self, *people: list[float]) -> float | None:
        """The x of whoever is followed in this instant."""
        self.instant += 1
        if self.track.due(self.instant, self.t_ns):
            self.track.look(np.array(people).reshape(-1, 5), self.t_ns)
        here = self.track.expected(self.t_ns)
        if here is None:
            return None
        middle = (here[:2] + here[2:]) / 2
        apart = [np.abs(middle - [(p[0] + p[2]) / 2, (p[1] + p[3]) / 2]).sum() for p in people]
        sure, seen = np.full(5, 0.05), np.zeros((5, 2))
        if people and min(apart) < 120:
            sure, seen = np.full(5, 0.9), joints_of(people[int(np.argmin(apart))])
        if not self.track.follow(seen, sure, GATE, self.t_ns):
            return None
        assert self.track.box is not None
        return float(self.track.box[[0, 2]].mean())


def skiing(instants: int, start: float = 200) -> Iterator[float]:
    yield from (start + 4 * k for k in range(instants))


def test_the_largest_person_is_followed_in_any_order() -> None:
    view = View()
    assert view.see(box(900, 400, 150), box(300, 400, 300)) == 300


def test_the_tracked_person_stays_followed_while_a_bystander_is_larger_for_a_moment() -> None:
    view = View()
    for k, x in enumerate(skiing(100)):
        bystander = box(900, 400, 450 if 40 <= k < 55 else 200)
        found = view.see(bystander, box(x, 400, 250))
        assert found is not None
        assert abs(found - x) < 20


def test_the_tracked_person_stays_followed_while_hidden_beside_a_bystander() -> None:
    view = View()
    for k, x in enumerate(skiing(100)):
        bystander = box(900, 400, 240)
        people = [bystander] if 40 <= k < 52 else [bystander, box(x, 400, 250)]
        found = view.see(*people)
        assert found is None or abs(found - x) < 60
        if k >= 56:
            assert found is not None
            assert abs(found - x) < 20


def test_the_tracked_person_stays_followed_while_passing_a_bystander() -> None:
    view = View()
    for x in skiing(120):
        found = view.see(box(440, 430, 200), box(x, 400, 250))
        assert found is not None
        assert abs(found - x) < 25


def test_a_bystander_clearly_larger_for_long_is_followed_instead() -> None:
    view = View()
    for k in range(100):
        stranger = [box(900, 400, 450)] if k > 20 else []
        found = view.see(box(300, 400, 250), *stranger)
    assert found == 900


def test_a_bystander_a_little_larger_is_never_followed() -> None:
    view = View()
    for k in range(200):
        found = view.see(box(300, 400, 250), *([box(900, 400, 280)] if k > 20 else []))
    assert found == 300


def test_a_first_mistake_is_corrected_at_once() -> None:
    view = View()
    for _ in range(3):
        view.see(box(900, 400, 150))
    for _ in range(8):
        found = view.see(box(900, 400, 150), box(300, 400, 300))
    assert found == 300


def test_a_person_gone_for_long_is_replaced_by_another_person() -> None:
    view = View()
    for k in range(80):
        found = view.see(*([box(300, 400, 250)] if k < 20 else []), box(900, 400, 150))
    assert found == 900


def test_joints_that_jump_are_not_followed() -> None:
    track = Track(10, 0, 0.0)
    person = box(300, 400, 250)
    track.look(np.array([person]), 0)
    assert track.follow(joints_of(person), np.full(5, 0.9), GATE, 0)
    far = joints_of(box(900, 400, 250))
    assert not track.follow(far, np.full(5, 0.9), GATE, PERIOD_NS)


def test_a_person_in_steady_motion_is_expected_where_they_will_be() -> None:
    view = View()
    for k in range(60):
        view.see(box(200 + 15 * k, 400, 250))
    here = view.track.expected(view.t_ns + PERIOD_NS)
    assert here is not None
    assert abs(here[[0, 2]].mean() - (200 + 15 * 60)) < 4
