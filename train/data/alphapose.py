"""The 2D poses a detector found in one video, read from AlphaPose's result file.

A picture's person is the one with the largest box; a picture without one has confidence 0, and no
file is no guess: it is refused with the way to make it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, TypeAdapter, ValidationError

from cvsf.skeleton import COCO_17, H36M_16, HALPE_26, MPII_16, Array, JointSet, remap
from cvsf.system.errors import Refusal

JOINTS_OF = {len(joints): joints for joints in (MPII_16, COCO_17, HALPE_26)}
"""AlphaPose's models by how many keypoints they give a person."""

_NUMBER = re.compile(r"(\d+)\D*$")
_UNIT_AT_MOST = 1.5
"""A peak may exceed 1 a little; a file that goes beyond this is on the scale 0 to 6."""
_LONG_SCALE = 6.0
"""AlphaPose's first COCO models give confidences up to this (its docs/output.md)."""


class _Person(BaseModel):
    """One entry of the file; keys we do not use are left alone."""

    image_id: str | int
    keypoints: list[float]
    score: float = 0.0
    box: tuple[float, float, float, float] | None = None  # left, top, width, height


_PEOPLE = TypeAdapter(list[_Person])


def read_detections(
    path: Path, numbers: Sequence[int]
) -> tuple[Float[Array, "N J 2"], Float[Array, "N J"]]:
    """Keypoints (px) and confidence (0 to 1), joint set h36m-16, of the pictures with these
    numbers; the person with the largest box of each. Zero for a picture without a person and for
    joints that the model does not give. Refusal if the file is missing or no AlphaPose result, has
    another number of keypoints than a known model, or names a picture without a number.
    """
    people = _read(path)
    joints = _joints(path, people)
    keypoints = np.zeros((len(numbers), len(joints), 2), np.float32)
    confidence = np.zeros(keypoints.shape[:2], np.float32)
    chosen = _subject_of_picture(path, people)
    for row, number in enumerate(numbers):
        if number in chosen:
            found = np.array(chosen[number].keypoints, np.float32).reshape(-1, 3)
            keypoints[row], confidence[row] = found[:, :2], found[:, 2]
    highest = max((max(p.keypoints[2::3]) for p in people), default=0.0)
    if highest > _UNIT_AT_MOST:
        confidence /= _LONG_SCALE
    broken = ~(np.isfinite(keypoints).all(-1) & np.isfinite(confidence))
    keypoints[broken], confidence[broken] = 0, 0
    return remap(keypoints, confidence.clip(0, 1), joints.joints, H36M_16.joints)


def how_to_detect(path: Path, pictures: str) -> str:
    """The sentence of a refusal that tells how to run AlphaPose for the file missing at `path`;
    `pictures` are AlphaPose's arguments that name its input. Nothing is looked up.
    """
    return (
        f"no 2D detections at {path}; make them with AlphaPose, `python scripts/demo_inference.py "
        f"--cfg CONFIG --checkpoint MODEL {pictures} --outdir OUT`, and put OUT/alphapose-results."
        "json there, or choose the dataset's own 2D with --truth-2d"
    )


def _read(path: Path) -> list[_Person]:
    try:
        return _PEOPLE.validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        first = str(error).splitlines()[0]
        raise Refusal(
            f"{path} is no AlphaPose result ({first}); expected a JSON list of people with "
            "image_id and keypoints, see docs/datasets.md"
        ) from error


def _joints(path: Path, people: list[_Person]) -> JointSet:
    sizes = {len(person.keypoints) for person in people} or {3 * len(COCO_17)}
    counts = sorted(size / 3 for size in sizes)
    if len(counts) > 1 or counts[0] not in JOINTS_OF:
        raise Refusal(
            f"{path} has {' and '.join(f'{c:g}' for c in counts)} keypoints a person, expected "
            f"one of {', '.join(f'{n} ({j.name})' for n, j in JOINTS_OF.items())}; "
            "detect again with one model of these, see docs/datasets.md"
        )
    return JOINTS_OF[int(counts[0])]


def _subject_of_picture(path: Path, people: list[_Person]) -> dict[int, _Person]:
    chosen: dict[int, _Person] = {}
    for person in people:
        found = _NUMBER.search(Path(str(person.image_id)).stem)
        if found is None:
            raise Refusal(
                f"{path} names a picture {person.image_id!r}, expected a number in every image_id; "
                "detect again on the pictures under the dataset's own names, see docs/datasets.md"
            )
        number = int(found[1])
        if number not in chosen or _size(person) > _size(chosen[number]):
            chosen[number] = person
    return chosen


def _size(person: _Person) -> tuple[float, float]:
    if person.box is not None:
        return person.box[2] * person.box[3], person.score
    points = np.array(person.keypoints).reshape(-1, 3)[:, :2]
    width, height = (points.max(0) - points.min(0)).tolist()
    return width * height, person.score
