"""What of the observations self-calibration may use: plausible keypoints, and useful views.

Joints outside the picture, or guessed by the detector, are no evidence.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvsf.calibration.degeneracy import Undetermined
from cvsf.multiview.guessed_keypoints import guessed_keypoints
from cvsf.multiview.observations import LiftedObservations
from cvsf.multiview.reprojection import weighted_keypoints
from cvsf.shapes import Bool, Float
from cvsf.skeleton import Array

LEAST_INSTANTS = 5
"""That a camera shares with another one; a guess, not measured."""
# guesses, not measured
_LEAST_EXTENT_PX = 3.0  # of a person
_MOST_OUTSIDE = 0.2  # of the keypoints of a view; of more it may be another picture


def plausible(observations: LiftedObservations) -> LiftedObservations:
    """The observations without what is no evidence: keypoints outside the picture or guessed, of a
    confidence near the detector's floor, and views whose joints are one point; their confidence
    becomes 0. Every instant has the size of its camera's pictures.

    Undetermined if the instants are not in order of time, a picture size is not known or has width
    and height exchanged, or keypoints are not in pixels.
    """
    if (np.diff(observations.t_s) < 0).any() or not np.isfinite(observations.t_s).all():
        raise Undetermined("the instants are not in order of time; sort them by t_s")
    if not observations.interval_s > 0:
        raise Undetermined(
            f"t_s does not increase: most instants have the time of another one, such as "
            f"{observations.t_s[0]:g} s; give the time of each instant in seconds"
        )
    sizes = observations.size_px
    seen = np.asarray(observations.confidence.any(-1)).sum(0)
    for camera, size, is_seen in zip(observations.cameras, sizes, seen, strict=True):
        if is_seen >= LEAST_INSTANTS and not (size > 0).all():
            raise Undetermined(f"the size of the pictures of {camera} is not known; record it")
    inside = _inside(observations.keypoints_px, sizes)
    _refuse_wrong_pixels(observations, inside)
    lifted = np.asarray(np.isfinite(observations.canonical).all((-1, -2)))
    lifted &= np.isfinite(observations.view_from_canonical).all((-1, -2))
    inside &= lifted[..., None]
    confidence = np.where(inside, observations.confidence, 0).astype(np.float32)
    confidence = np.where(guessed_keypoints(confidence), 0, confidence)
    evidence = replace(
        observations,
        confidence=confidence,
        canonical=np.where(lifted[..., None, None], observations.canonical, np.float32(0)),
        view_from_canonical=np.where(
            lifted[..., None, None], observations.view_from_canonical, np.eye(3, dtype=np.float32)
        ),
        image_px=np.broadcast_to(sizes, observations.image_px.shape),
    )
    is_point = weighted_keypoints(evidence, 1.0).extent_px < _LEAST_EXTENT_PX
    return replace(evidence, confidence=np.where(is_point[..., None], 0, confidence))


def useful_views(observations: LiftedObservations) -> list[int]:
    """Indices of the views that each share 5 or more instants with the athlete with another such
    view; Undetermined if there are not two. Of groups of views that share none with each other, the
    one that shares most.
    """
    seen = np.any(observations.confidence > 0, axis=-1).astype(int)
    together = seen.T @ seen
    linked = together >= LEAST_INSTANTS
    np.fill_diagonal(linked, val=True)
    for _ in range(len(linked)):  # views are linked by others
        linked = linked @ linked
    pairs = together - np.diag(np.diag(together))
    worth = [int(pairs[np.ix_(group, group)].sum()) for group in linked]
    best = np.flatnonzero(linked[int(np.argmax(worth))])
    if len(best) < 2:
        raise Undetermined(
            f"of {seen.shape[1]} cameras no two saw the athlete together in {LEAST_INSTANTS} "
            "instants; film longer, or turn them so that they see the same area"
        )
    return [int(view) for view in best]


def _inside(
    keypoints_px: Float[Array, "N V J 2"], size_px: Float[Array, "V 2"]
) -> Bool[npt.NDArray[np.bool_], "N V J"]:
    return np.asarray(((keypoints_px >= 0) & (keypoints_px <= size_px[:, None])).all(-1))


def _refuse_wrong_pixels(
    observations: LiftedObservations, inside: Bool[npt.NDArray[np.bool_], "N V J"]
) -> None:
    """Undetermined if the keypoints of a view are shares of the picture, or lie in a picture whose
    width and height are exchanged.
    """
    seen = observations.confidence > 0
    exchanged = _inside(observations.keypoints_px, observations.size_px[:, ::-1])
    for view, camera in enumerate(observations.cameras):
        known = observations.keypoints_px[:, view][seen[:, view]]
        known = known[np.isfinite(known).all(-1)]
        if seen[:, view].any(-1).sum() < LEAST_INSTANTS or not len(known):
            continue
        most = float(np.abs(known).max())
        if most <= _LEAST_EXTENT_PX and np.ptp(known, axis=0).all():
            raise Undetermined(
                f"no keypoint of {camera} is beyond {most:.3g} px; give keypoints in pixels, not "
                "in shares of the picture"
            )
        outside = 1 - inside[:, view][seen[:, view]].mean()
        if outside > _MOST_OUTSIDE and exchanged[:, view][seen[:, view]].mean() > 1 - outside / 10:
            width, height = observations.size_px[view]
            raise Undetermined(
                f"{outside:.0%} of the keypoints of {camera} are outside its picture of "
                f"{width:.0f}x{height:.0f} px, but inside one of {height:.0f}x{width:.0f}; correct "
                "image_px, width first"
            )
