"""The hub's figures as Prometheus text, read from its last statistics when it is scraped.

Prometheus' own conventions hold here: counters end in _total, times are seconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

_COUNTERS = {
    "instants": "Instants formed",
    "instants_full": "Instants with a frame of every living camera",
    "skeletons": "Skeletons computed",
    "skeletons_predicted": "Skeletons predicted, not measured in their instant",
}
_GAUGES = {
    "instants_per_s": "Instants formed in the last second",
    "instants_partial_per_s": "Instants of the last second that lacked a camera",
    "disk_free_gb": "Free space where sessions are recorded, in gigabytes",
    "free_recording_s": "How long recording can go on at the present rate",
    "recording": "1 while pictures are recorded",
}
_OF_A_CAMERA = {
    "received": ("frames_received", "Frames received"),
    "dropped": ("frames_dropped", "Frames lost or skipped"),
    "recorded": ("frames_recorded", "Frames on disk"),
}
_QUALITY = {
    "agreement": "Distance of the views' poses from their mean, over its radius; lower is better",
    "reprojection": "Distance of the views' poses from their pictures, over the person's size",
    "bones": "Standard deviation of bone lengths over their means",
}


class Gauges(Collector):
    """Everything `GET /metrics` says."""

    def __init__(self) -> None:
        self.stats: Mapping[str, Any] = {}
        self.messages_dropped = 0  # to web clients that were too slow
        self.viewers = 0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """The exposition, as Prometheus reads it."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]:
        """One family per figure the hub has stated so far."""
        stats = self.stats
        for key, said in _COUNTERS.items():
            if key in stats:
                yield CounterMetricFamily(f"cvsf_{key}", said, value=stats[key])
        if "instants" in stats and "instants_full" in stats:
            partial = stats["instants"] - stats["instants_full"]
            yield CounterMetricFamily(
                "cvsf_instants_partial", "Instants that lacked a living camera", value=partial
            )
        for key, said in _GAUGES.items():
            if stats.get(key) is not None:
                yield GaugeMetricFamily(f"cvsf_{key}", said, value=float(stats[key]))
        yield from self._engine()
        yield from self._cameras()
        yield from self._world()
        yield self._latency()
        yield self._refused()
        yield GaugeMetricFamily("cvsf_viewers", "Web clients connected", value=self.viewers)
        yield CounterMetricFamily(
            "cvsf_viewer_messages_dropped",
            "Messages a web client was too slow for",
            value=self.messages_dropped,
        )

    def _cameras(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        cameras: Mapping[str, Mapping[str, Any]] = self.stats.get("cameras", {})
        for key, (name, said) in _OF_A_CAMERA.items():
            counter = CounterMetricFamily(f"cvsf_{name}", said, labels=["camera"])
            for camera, figures in cameras.items():
                if figures.get(key) is not None:
                    counter.add_metric([camera], figures[key])
            yield counter
        rate = GaugeMetricFamily("cvsf_camera_fps", "Frames received a second", labels=["camera"])
        error = GaugeMetricFamily(
            "cvsf_clock_error_seconds",
            "Half width of what a camera's clock may be off by",
            labels=["camera"],
        )
        for camera, figures in cameras.items():
            if figures.get("fps") is not None:
                rate.add_metric([camera], figures["fps"])
            if figures.get("clock_error_ms") is not None:
                error.add_metric([camera], figures["clock_error_ms"] / 1e3)
        yield rate
        yield error

    def _engine(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily | InfoMetricFamily]:
        stats = self.stats
        if "engine" in stats:
            facts = {key: stats[key] for key in ("engine", "engine_backend") if key in stats}
            yield InfoMetricFamily("cvsf_engine", "The lifter in use", value=facts)
        if "engine_swaps" in stats:
            yield CounterMetricFamily(
                "cvsf_engine_swaps", "Times the lifter was exchanged", value=stats["engine_swaps"]
            )
            yield GaugeMetricFamily(
                "cvsf_engine_trouble",
                "1 while the live engine is refused and another serves",
                value=float(stats["engine_trouble"] is not None),
            )
        quality: Mapping[str, Any] = stats.get("quality") or {}
        for key, said in _QUALITY.items():
            gauge = GaugeMetricFamily(f"cvsf_quality_{key}", said, labels=["engine", "role"])
            for role, of in (("serves", quality), ("before", quality.get("before") or {})):
                if of.get(key) is not None:
                    gauge.add_metric([of["engine"], role], of[key])
            yield gauge

    def _world(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        world: Mapping[str, Any] = self.stats.get("world") or {}
        if "calibration" in world:
            yield GaugeMetricFamily(
                "cvsf_calibration", "Number of the calibration, 0 none", value=world["calibration"]
            )
        if "moves" in world:
            yield CounterMetricFamily(
                "cvsf_cameras_moved", "Cameras found to have moved", value=world["moves"]
            )

    def _latency(self) -> GaugeMetricFamily:
        latency = GaugeMetricFamily(
            "cvsf_latency_seconds", "Time of an instant by stage", labels=["stage", "quantile"]
        )
        for stage, ms in self.stats.get("latency_ms", {}).items():
            for key, quantile in (("p50", "0.5"), ("p95", "0.95")):
                if ms.get(key) is not None:
                    latency.add_metric([stage, quantile], ms[key] / 1e3)
        return latency

    def _refused(self) -> CounterMetricFamily:
        refused = CounterMetricFamily(
            "cvsf_messages_refused", "Messages refused at the door", labels=["reason"]
        )
        for reason, count in self.stats.get("refused", {}).items():
            refused.add_metric([reason], count)
        return refused
