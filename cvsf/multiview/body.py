"""The bodies of a session: bone lengths of each person, and who is there at which time.

Nearly always there is one person. Where one follows another, as a child an adult, each has an own
body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from cvsf.shapes import Float, Int
from cvsf.skeleton import JointSet

Real = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The athlete's bone lengths, in the unit of the rig they were estimated with."""

    joint_set: JointSet
    bones: Float[Real, "B"]
    """Lengths of joint_set.bones; left and right alike."""

    def scaled(self, scale: float) -> Self:
        """The same body where lengths are `scale` times as large."""
        return replace(self, bones=scale * self.bones)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """P people who are before the cameras one after another, in K + 1 spans of time."""

    bodies: tuple[Body, ...]
    """One a person, all of one joint set; the person's number is the index, 0 who came first."""
    change_s: Float[Real, "K"]
    """Times at which another span begins, ascending."""
    span_person: Int[npt.NDArray[np.intp], "K+1"]
    """Number of the person of each span; who comes back has the same one."""

    def person_id(self, t_s: Float[Real, "N"]) -> Int[npt.NDArray[np.intp], "N"]:
        """The number of the person at each time, also where nobody was observed."""
        return self.span_person[np.searchsorted(self.change_s, t_s, side="right")]

    def scaled(self, scale: float) -> Self:
        """The same people where lengths are `scale` times as large."""
        return replace(self, bodies=tuple(body.scaled(scale) for body in self.bodies))


def people_to_plain(people: People | None) -> dict[str, Any] | None:
    """The content of `people` in a session's `cameras.json`; None for one person."""
    if people is None:
        return None
    return {
        "bones": [body.bones.tolist() for body in people.bodies],
        "change_s": people.change_s.tolist(),
        "span_person": people.span_person.tolist(),
    }


def people_from_plain(plain: Mapping[str, Any] | None, joint_set: JointSet) -> People | None:
    """What `people_to_plain` wrote; ValueError if spans, people and bones do not fit together,
    KeyError or TypeError if one is missing.
    """
    if plain is None:
        return None
    change_s, person = np.array(plain["change_s"], float), np.array(plain["span_person"], int)
    bones = np.array(plain["bones"], float)
    if bones.shape[1:] != (len(joint_set.bones),) or not np.isfinite(bones).all():
        raise ValueError(
            f"people: bones are {bones.shape}, expected {len(joint_set.bones)} of each person"
        )
    if person.shape != (len(change_s) + 1,) or (np.diff(change_s) < 0).any():
        raise ValueError(
            f"people: {len(person)} spans and {len(change_s)} changes between them, expected one "
            "span more than changes, in order of time"
        )
    if person.min() < 0 or person.max() >= len(bones):
        raise ValueError(
            f"people: spans are of persons {person.min()} to {person.max()}, expected 0 to "
            f"{len(bones) - 1}"
        )
    bodies = tuple(Body(joint_set=joint_set, bones=of_one) for of_one in bones)
    return People(bodies=bodies, change_s=change_s, span_person=person)
