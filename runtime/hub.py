"""The hub: receive -> synchronise -> detect -> lift -> stream, record; until asked to stop.

Every processed instant is recorded with the numbers of its frames, so that it can be replayed.
"""

import logging
import threading
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cv2

from cvsf.hub_config import HubConfig
from cvsf.messages import Frame, Skeleton
from cvsf.skeleton import joint_set
from cvsf.system.jsonl import print_json
from runtime.calibration.known_cameras import KnownCameras
from runtime.calibration.world import start_world
from runtime.detection.bundle import DEFAULT, load_bundle
from runtime.detection.detector import Detector
from runtime.ingest.camera_connection import Link
from runtime.ingest.frame_decoder import FrameDecoder
from runtime.ingest.instant_assembler import InstantAssembler
from runtime.ingest.instant_queue import InstantQueue
from runtime.ingest.receiver import Receiver
from runtime.ingest.synchroniser import Group
from runtime.lifting.hot_swap import HotSwap
from runtime.lifting.lift import lift
from runtime.lifting.pose_assembly import JOINED_SET, join
from runtime.lifting.shadow_evaluation import ShadowEvaluation
from runtime.recording.recorder import Recorder
from runtime.stats import ProcessingStats, Stats
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from runtime.streaming.zmq_publisher import ZmqPublisher
from runtime.telemetry.alarms import alarms
from runtime.telemetry.hub_stats import InstantCounter
from runtime.telemetry.stage_timer import StageTimer
from runtime.telemetry.table import LiveTable, duration

log = logging.getLogger(__name__)

_USUAL_BYTES_S = 1.5e6  # of a camera, for the first estimate of the free recording time


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks, which take seconds to load: the detector, and the engine with its hot swap."""

    detector: Detector
    hot_swap: HotSwap


def load_networks(config: HubConfig, data: Path, *, offline: bool) -> Networks:
    """The networks of the settings; missing files of the 2D bundle are downloaded unless `offline`.

    It takes seconds. A Refusal names one that cannot be used, with the reason. An engine that fails
    is no refusal: the previous or the shipped one is used.
    """
    bundle = load_bundle(config.detector or DEFAULT, data, offline)
    plans = data / "plans"
    return Networks(
        detector=Detector(bundle, config.detector_threads, kind=config.engine, plans=plans),
        hot_swap=HotSwap(data / "models", plans, config.engine, config.lifter_threads),
    )


class Hub:
    """Everything between the wire and the clients, for one session."""

    def __init__(
        self,
        config: HubConfig,
        session: Path,
        networks: Networks,
        *,
        cams: int,
        anchor_ns: int,
        known: KnownCameras | None = None,
    ) -> None:
        """Open the session and bind the ports; a Refusal leaves neither."""
        cv2.setNumThreads(1)
        self.config, self.cams, self.anchor_ns = config, cams, anchor_ns
        self.detector, self.hot_swap = networks.detector, networks.hot_swap
        self.stages, self.figures, self.queue = StageTimer(), InstantCounter(), InstantQueue()
        self.assembler = InstantAssembler(config, self.queue, cams=cams, now_ns=self.now_ns)
        self.decoder = FrameDecoder(config.max_uncertainty_ms)
        self.shadow = ShadowEvaluation(self.hot_swap, config)
        self._published: tuple[tuple[str, ...], int, str] | None = None
        with ExitStack() as on_refusal:
            self.recorder = Recorder(
                session,
                config,
                on_durable=lambda on_disk: self.receiver.mark_durable(on_disk),
                min_free_bytes=round(config.min_free_gb * 1e9),
            )
            on_refusal.callback(self.recorder.close)
            self.publisher = ZmqPublisher(f"tcp://{config.host}:{config.skeletons_port}")
            on_refusal.callback(self.publisher.close)
            self.web = WebServer(config.host, config.web_port, on_record=self._switch_recording)
            on_refusal.callback(self.web.close)
            self.receiver = Receiver(
                config.host,
                config.frames_port,
                resume=self.recorder.resume,
                now_ns=self.now_ns,
                on_frame=self._take,
                on_idle=lambda: self.assembler.expire(self.receiver),
                on_bye=lambda link: self.assembler.end(self.receiver, link),
            )
            on_refusal.callback(self.receiver.close)
            self.world = start_world(config, known, session, self.recorder.put_calibration)
            on_refusal.pop_all()

    def now_ns(self) -> int:
        """The hub clock in ns: CLOCK_MONOTONIC plus `anchor_ns`, so a step of the wall clock
        changes nothing.
        """
        return time.monotonic_ns() + self.anchor_ns

    # on the receiver's thread

    def _take(self, frame: Frame, link: Link) -> bool:
        """Whether the frame will be on disk."""
        is_kept = self.recorder.put(frame)
        self.assembler.take(self.receiver, frame, link)
        return is_kept

    # on the main thread

    def run(self, stop: threading.Event, *, headless: bool) -> Stats:
        """Process instants until `stop` is set, then `finish`; blocks, and returns the last stats.

        Once a second the stats go to clients, and to the table, or as a JSON line if `headless`; no
        line before a camera has joined, and no stats once all cameras have ended. Call it once, on
        the main thread; it starts all threads.
        """
        self.receiver.start()
        self.hot_swap.start()
        self.detector.build_plans_in_background()
        self.shadow.start()
        self._log_ready()
        report_at = time.monotonic() + 1.0
        with nullcontext() if headless else LiveTable() as table:
            while not stop.is_set():
                group = self.queue.get(0.1)
                if group:
                    self.process(group)
                self._change_engine()
                self.publisher.poll()
                if time.monotonic() >= report_at:
                    report_at += 1.0
                    if not self.receiver.has_ended:
                        self._show(self.read_stats(), table)
        return self.finish()

    def _log_ready(self) -> None:
        """Log where the session is written and how long the disk lasts."""
        left_s = self.recorder.free_recording_s(max(self.cams, 1) * _USUAL_BYTES_S)
        log.info(
            "hub ready",
            extra={
                "page": f"http://{self.config.host}:{self.web.port}",
                "session": str(self.recorder.folder or "not recorded"),
                "free_recording": duration(left_s) if self.recorder.folder else "-",
            },
        )

    def _change_engine(self) -> None:
        """Between two instants: the next engine, if it is ready."""
        if before := self.hot_swap.take(calm=self.queue.is_empty):
            self.recorder.put_event("engine", engine=self.hot_swap.engine.id, before=before.id)
            self.shadow.engine_swapped(before)

    def process(self, group: Group) -> Skeleton | None:
        """Process one instant, from its frames to clients and disk, on the main thread.

        Returns the skeleton, in the world frame if there is a calibration of these cameras; None
        without a person, or if a joint is not determined. Instant and pose are recorded also then.
        The group must have a frame; its frames are marked as taken.
        """
        stages = self.stages
        frames = self.decoder.usable(group.frames)
        with stages("decode"):
            pixels = self.decoder.decode(frames)
        people = self.detector.detect(pixels, group.t_ns, stages)
        instant = group.instant(self.recorder.next_instant())
        with stages("join"):
            cameras = tuple(sorted(set(group.expected) | set(group.frames)))
            self.hot_swap.views = len(cameras)
            pose = join(instant, cameras, people, frames, self.detector)
        with stages("lift"):
            engine = self.hot_swap.engine
            lifted, skeleton = lift(engine, pose, group.uncertainty_ns) or (None, None)
        with stages("place"):
            if lifted and skeleton:
                skeleton = self.world.reconstruct(pose, lifted, skeleton)
        if lifted:
            self.shadow.add(pose, lifted)
        with stages("publish"):
            self._publish_about(cameras)
            if skeleton:
                self.publisher.send(skeleton)
                self.web.send(skeleton)
            self.web.show(instant, frames, pose)
        with stages("record"):
            self.recorder.put(instant)
            self.recorder.put(pose)
            if skeleton:
                self.recorder.put(skeleton)
        for frame in group.frames.values():
            self.receiver.mark_taken(frame)
        self.figures.count_pose(pose, full=group.full)
        if skeleton:
            self.figures.skeletons += skeleton.measured
            self.figures.predicted += not skeleton.measured
        if next(iter(group.frames.values())).trigger is None:
            stages.add("exposure_to_skeleton", (self.now_ns() - group.t_ns) / 1e6)
        stages.end_instant()
        return skeleton

    def _publish_about(self, cameras: tuple[str, ...]) -> None:
        now = (cameras, self.world.changes, self.hot_swap.engine.id)
        if now != self._published:
            self._published = now
            described = about(
                joint_set(JOINED_SET),
                cameras,
                self.hot_swap.engine.id,
                detector=self.detector.name,
                world=self.world.about(),
            )
            self.publisher.about = described
            self.web.about = described

    def read_stats(self, *, final: bool = False) -> Stats:
        """The counts, and the rates since the last call; every call begins a new interval.

        `final`, at the end of a run, counts every exposure by the hub's own counts.
        """
        self.figures.left_out = self.decoder.left_out
        processing = ProcessingStats(
            latency_ms=self.stages.percentiles(),
            instants_skipped=self.queue.skipped,
            refused=dict(self.receiver.rejected),
            detector=self.detector.name,
        )
        stats = Stats.of(
            self.figures.read(self.receiver, final=final),
            processing,
            self.assembler.stats(),
            self.hot_swap.stats(),
            self.shadow.stats(),
            self.world.stats(),
            self.recorder.stats(),
            **({"final": True} if final else {}),
        )
        return stats.model_copy(update={"alarms": alarms(stats)})

    def _show(self, stats: Stats, table: LiveTable | None) -> None:
        self.publisher.send_stats(stats.to_map())
        self.web.send_stats(stats)
        if table:
            table.show(stats)
        elif self.receiver.links:  # before a camera joins there is nothing to account for
            print_json(stats.to_map(), wait_s=0.0)

    def _switch_recording(self, on: bool) -> None:
        if on:
            self.recorder.resume_recording()
        else:
            self.recorder.pause()

    def finish(self) -> Stats:
        """Take no more frames, process waiting instants of lossless sources, and seal the session.

        Waiting instants are dropped if no source is lossless. It ends all threads and closes all
        sockets; blocks until then. Clients get the last stats, which are returned.
        """
        self.receiver.refuse_frames()
        while group := self.queue.get(0.0):
            if any(link.lossless for link in list(self.receiver.links.values())):
                self.process(group)
        self.hot_swap.close()
        self.shadow.close()
        self.world.close()
        self.recorder.close()
        self.receiver.close()
        stats = self.read_stats(final=True)
        self.publisher.send_stats(stats.to_map())
        self.publisher.close()
        self.web.close()
        return stats
