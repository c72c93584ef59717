"""From frames to instants: live ones by slots and deadline, files by trigger number; complete
instants are queued.

Used by the receiver's thread only.
"""

import logging
from collections.abc import Callable
from statistics import median_high

from cvsf.hub_config import HubConfig
from cvsf.messages import Frame
from runtime.ingest.camera_connection import Link
from runtime.ingest.instant_queue import InstantQueue
from runtime.ingest.receiver import Receiver
from runtime.ingest.synchroniser import Group, Slots, Steps
from runtime.stats import AssemblerStats

log = logging.getLogger(__name__)


class InstantAssembler:
    """Keeps frames until those of the other cameras have arrived, or cannot arrive any more."""

    def __init__(
        self, config: HubConfig, queue: InstantQueue, *, cams: int, now_ns: Callable[[], int]
    ) -> None:
        self._absent_s, self._queue, self._cams, self._now_ns = (
            config.absent_s, queue, cams, now_ns,
        )  # fmt: skip
        self._slots = Slots(
            min_deadline_ms=config.min_deadline_ms, max_deadline_ms=config.max_deadline_ms
        )
        self._steps = Steps()

    def take(self, receiver: Receiver, frame: Frame, link: Link) -> None:
        """Add a received frame; the instants that it completes are put into the queue.

        A frame of a lossless source with a trigger number is grouped by that number, every other
        one by time. Instants by number go out only once all cameras of the hub have connected; a
        source that goes on beyond the shortest one is stopped.
        """
        if frame.trigger is not None and link.lossless:
            if not self._steps.add(frame):
                link.process(frame.seq)
            link.play(frame.trigger)
            self._end_beyond_shortest(receiver)
            self._step(receiver)
        else:
            expected = receiver.alive(self._absent_s)
            rates = [receiver.links[camera].fps for camera in expected]
            period_ns = 1e9 / median_high(rates or [link.fps])
            groups = self._slots.add(frame, self._now_ns(), period_ns, expected)
            self._offer(groups, lossless=False)

    def expire(self, receiver: Receiver) -> bool:
        """Put the instants beyond their deadline into the queue; called again and again.

        Cameras that are no longer live are not waited for. Returns whether frames still wait.
        """
        if self._slots.waits:
            expected = receiver.alive(self._absent_s)
            self._offer(self._slots.expire(self._now_ns(), expected), lossless=False)
        if self._steps.waits:
            self._step(receiver)
        return self._slots.waits or self._steps.waits

    def end(self, receiver: Receiver, link: Link) -> None:
        """Note that a node has ended, so that its frames are no longer waited for.

        Nothing happens for a source that is not lossless. If a source played in step ended by
        itself, the others are stopped after its last trigger.
        """
        if not link.lossless:
            return
        self._steps.end(link.camera)
        if link.in_step and link.ended:
            self._steps.stop_after(link.last_trigger)
            self._end_beyond_shortest(receiver)
        self._step(receiver)

    def stats(self) -> AssemblerStats:
        """How many frames are in no instant: late ones, those with a time in the future, and those
        after the end of a shorter file.
        """
        return AssemblerStats(
            frames_late=self._slots.late,
            frames_ahead=self._slots.ahead,
            frames_beyond_shortest=self._steps.beyond,
        )

    def _end_beyond_shortest(self, receiver: Receiver) -> None:
        """Stop the files that are longer than the shortest, and log each once."""
        last = self._steps.last_trigger
        for link in receiver.links.values():
            if last is not None and link.last_trigger > last and link.stop_reason is None:
                link.stop(f"a shorter file has ended after {last + 1} pictures")
                log.warning(
                    "file goes on where a shorter one has ended, stopping there",
                    extra={"camera": link.camera, "instants": last + 1},
                )

    def _step(self, receiver: Receiver) -> None:
        if len(receiver.links) >= self._cams:
            lost = set(receiver.links) - set(receiver.alive(self._absent_s))
            for camera in lost:
                self._steps.end(camera)
            expected = tuple(sorted(receiver.links))
            self._offer(self._steps.ready(expected), lossless=True)

    def _offer(self, groups: list[Group], *, lossless: bool) -> None:
        for group in groups:
            self._queue.put(group, lossless=lossless)
