"""People who follow one another: who is there, and what is written about them."""

import numpy as np
import pytest

from cvsf.multiview.body import Body, People, people_from_plain, people_to_plain
from cvsf.skeleton import H36M_16


@pytest.fixture
def people() -> People:
    bones = np.linspace(0.1, 0.5, len(H36M_16.bones))
    return People(
        bodies=tuple(Body(joint_set=H36M_16, bones=share * bones) for share in (1.0, 0.6)),
        change_s=np.array([10.0, 20.0]),
        span_person=np.array([0, 1, 0]),
    )


def test_who_comes_back_has_the_same_number(people: People) -> None:
    assert people.person_id(np.array([-1.0, 9.9, 10.0, 15.0, 25.0])).tolist() == [0, 0, 1, 1, 0]


def test_every_body_is_scaled(people: People) -> None:
    scaled = people.scaled(2.0)
    for before, after in zip(people.bodies, scaled.bodies, strict=True):
        assert after.bones == pytest.approx(2 * before.bones)


def test_people_that_were_written_are_read_again(people: People) -> None:
    again = people_from_plain(people_to_plain(people), H36M_16)
    assert again is not None
    assert again.person_id(np.array([15.0])).tolist() == [1]
    assert again.bodies[1].bones == pytest.approx(people.bodies[1].bones)


def test_one_person_is_written_as_none() -> None:
    assert people_to_plain(None) is None
    assert people_from_plain(None, H36M_16) is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("change_s", [10.0], "spans"),
        ("change_s", [20.0, 10.0], "order of time"),
        ("span_person", [0, 2, 0], "persons 0 to 2"),
        ("bones", [[0.1], [0.2]], "bones"),
    ],
)
def test_people_that_do_not_fit_together_are_an_error(
    people: People, key: str, value: object, message: str
) -> None:
    plain = people_to_plain(people)
    assert plain is not None
    with pytest.raises(ValueError, match=message):
        people_from_plain(plain | {key: value}, H36M_16)
