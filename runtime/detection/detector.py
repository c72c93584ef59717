"""The detector: the networks of a bundle and one track per camera give one person's keypoints.

The whole picture is searched if a view has lost its person, and else every few instants, one view
after the other; the next crop comes from the last keypoints. It is deterministic.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvsf.engine.engine import Kind, Progress
from cvsf.shapes import Array, Float, Picture, Real, UInt8
from cvsf.system.errors import Refusal
from runtime.detection.bundle import Bundle, NetworkManifest
from runtime.detection.network import Batch, Network
from runtime.detection.postprocess import boxes, check, joints, people
from runtime.detection.preprocess import Fit, crop, letterbox
from runtime.detection.tracker import Track
from runtime.telemetry.stage_timer import StageTimer

log = logging.getLogger(__name__)

_GAP_NS = 500_000_000
"""After a longer gap tracks are forgotten; a guess, not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The person of interest in one picture, in its pixels and the bundle's joint set."""

    keypoints_px: Float[Array, "J 2"]
    confidence: Float[Array, "J"]
    box_px: Float[Array, "4"]  # x0, y0, x1, y1


class Detector:
    """A bundle's networks and one track per camera.

    The constructor loads the networks and runs each once, which takes seconds; Refusal if one does
    not fit its manifest. Used by one thread, except for `build_plans`.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int = 1,
        *,
        kind: Kind = "onnxruntime",
        plans: Path | None = None,
    ) -> None:
        manifest = bundle.manifest
        self.joint_set = manifest.joints
        self.name = bundle.id
        self._every, self._beyond = manifest.detect_every, manifest.beyond_joints

        def network(role: str, network_manifest: NetworkManifest) -> Network:
            return Network(network_manifest, bundle.files[role], threads, kind=kind, plans=plans)

        self._pose = network("pose", manifest.pose)
        networks = {"pose": self._pose}
        self._boxes: Network | None = None
        if manifest.detector is not None:
            self._boxes = network("detector", manifest.detector)
            networks["detector"] = self._boxes
        for role, each in networks.items():
            empty = each.run(each.buffer(1))
            check(empty, each.manifest, len(self.joint_set), str(bundle.files[role]))
        self._tracks: dict[str, Track] = {}
        self._seen_ns: dict[str, int] = {}
        self._instant = 0

    @property
    def backends(self) -> dict[str, str]:
        """What runs each network, as text such as `onnxruntime cpu`, by role: `pose` and
        `detector`.

        A whole-frame bundle has `pose` only.
        """
        networks = {"pose": self._pose} | ({"detector": self._boxes} if self._boxes else {})
        return {role: network.backend for role, network in networks.items()}

    def build_plans(self, on_progress: Progress | None = None) -> None:
        """Build the plans and switch to TensorRT, if that is the backend asked for; else do
        nothing.

        It blocks for seconds to minutes: call it in another thread than the one that detects. A
        Refusal has the reasons of all networks that stay on their backend; another one may have
        switched.
        """
        refused = []
        for network in (self._boxes, self._pose):
            try:
                if network is not None:
                    network.build_plan(on_progress)
            except Refusal as refusal:
                refused.append(str(refusal))
        if refused:
            raise Refusal("; ".join(refused))

    def build_plans_in_background(self) -> None:
        """Start a thread that runs `build_plans`, and return at once; failures are only logged."""

        def plan() -> None:
            try:
                self.build_plans()
            except (Refusal, OSError) as error:
                log.error("detector stays on its backend", extra={"reason": str(error)})

        threading.Thread(target=plan, name="detector plans", daemon=True).start()

    def reset(self) -> None:
        """Forget the tracked person in all views, and begin to count instants anew.

        The networks stay loaded. The next call of `detect` searches every picture.
        """
        self._tracks.clear()
        self._seen_ns.clear()
        self._instant = 0

    def detect(
        self, pictures: Mapping[str, UInt8[Picture, "_ _ 3"]], t_ns: int, stages: StageTimer
    ) -> dict[str, Person]:
        """The person in each BGR picture, by camera; a camera without one is missing in the result.

        `t_ns` is the instant's time; call it in order of time. After a gap of more than 0.5 s the
        tracks begin anew, and the largest person is chosen again. Keypoints and box are in px of
        the picture. Times are added to `stages`.
        """
        pictures = dict(sorted(pictures.items()))  # independent of the order of arrival
        self._forget_after_gaps(pictures, t_ns)
        self._instant += 1
        if self._boxes is None:
            return self._detect_whole_frame(pictures, t_ns, stages)
        self._search(self._boxes, pictures, t_ns, stages)
        return self._detect_in_crops(pictures, t_ns, stages)

    def _forget_after_gaps(self, pictures: Mapping[str, Picture], t_ns: int) -> None:
        """Forget the tracks of all views, or of one, after a gap in time."""
        latest = max(self._seen_ns.values(), default=t_ns)
        if abs(t_ns - latest) > _GAP_NS:
            self.reset()
        for camera in pictures:
            if camera not in self._tracks:
                self._tracks[camera] = Track(self._every, len(self._tracks), self._beyond)
            elif t_ns - self._seen_ns[camera] > _GAP_NS:
                self._tracks[camera].forget()
            self._seen_ns[camera] = t_ns

    def _search(
        self, network: Network, pictures: Mapping[str, Picture], t_ns: int, stages: StageTimer
    ) -> None:
        """Search the whole pictures that are due."""
        due = [camera for camera in pictures if self._tracks[camera].due(self._instant, t_ns)]
        if not due:
            return
        with stages("crop"):
            batch, fits = _letterboxed(network, [pictures[camera] for camera in due])
        with stages("detect"):
            outputs = network.run(batch)
        with stages("keypoints"):
            for camera, fit, found in zip(due, fits, boxes(outputs, network.manifest), strict=True):
                self._tracks[camera].look(_boxes_in_picture(found, fit, pictures[camera]), t_ns)

    def _detect_in_crops(
        self, pictures: Mapping[str, Picture], t_ns: int, stages: StageTimer
    ) -> dict[str, Person]:
        """The keypoints of every followed person; updates the tracks."""
        with stages("crop"):
            expected = {camera: self._tracks[camera].expected(t_ns) for camera in pictures}
            followed = {camera: box for camera, box in expected.items() if box is not None}
            batch = self._pose.buffer(len(followed))
            fits = [
                crop(pictures[camera], box, self._pose.manifest, into)
                for (camera, box), into in zip(followed.items(), batch, strict=True)
            ]
        if not followed:
            return {}
        with stages("pose"):
            outputs = self._pose.run(batch)
        with stages("keypoints"):
            found = {}
            rows = zip(followed, fits, *joints(outputs, self._pose.manifest), strict=True)
            for camera, fit, keypoints, confidence in rows:
                keypoints_px = fit.to_picture(keypoints)
                if self._follow(camera, keypoints_px, confidence, t_ns):
                    found[camera] = self._person(camera, keypoints_px, confidence)
        return found

    def _detect_whole_frame(
        self, pictures: Mapping[str, Picture], t_ns: int, stages: StageTimer
    ) -> dict[str, Person]:
        """People and keypoints from one whole-frame network; the tracks select the person."""
        with stages("crop"):
            batch, fits = _letterboxed(self._pose, list(pictures.values()))
        with stages("pose"):
            outputs = self._pose.run(batch)
        with stages("keypoints"):
            found = {}
            persons = people(outputs, self._pose.manifest)
            for camera, fit, (seen, keypoints, confidence) in zip(
                pictures, fits, persons, strict=True
            ):
                boxes_px = _boxes_in_picture(seen, fit, pictures[camera])
                index = self._tracks[camera].look(boxes_px, t_ns)
                if index is None:
                    continue
                keypoints_px = fit.to_picture(keypoints[index])
                self._follow(camera, keypoints_px, confidence[index], t_ns)
                found[camera] = self._person(camera, keypoints_px, confidence[index])
        return found

    def _follow(self, camera: str, keypoints_px: Real, confidence: Real, t_ns: int) -> bool:
        gate = self._pose.manifest.min_confidence
        return self._tracks[camera].follow(keypoints_px, confidence, gate, t_ns)

    def _person(self, camera: str, keypoints_px: Real, confidence: Real) -> Person:
        box = self._tracks[camera].box
        assert box is not None
        return Person(
            keypoints_px=keypoints_px.astype(np.float32),
            confidence=confidence.astype(np.float32),
            box_px=box.astype(np.float32),
        )


def _letterboxed(network: Network, pictures: Sequence[Picture]) -> tuple[Batch, list[Fit]]:
    batch = network.buffer(len(pictures))
    manifest: NetworkManifest = network.manifest
    return batch, [
        letterbox(picture, manifest, into) for picture, into in zip(pictures, batch, strict=True)
    ]


def _boxes_in_picture(found: Real, fit: Fit, picture: Picture) -> Real:
    """Boxes (N, 5) of the input as boxes of the picture, clipped to it."""
    corners = fit.to_picture(found[:, :4].reshape(-1, 2, 2))
    corners = corners.clip(0, [picture.shape[1], picture.shape[0]])
    return np.concatenate([corners.reshape(-1, 4), found[:, 4:]], 1)
