"""The hub's stats as Prometheus text, read when it is scraped.

Names and labels stand beside the keys in `runtime/stats.py`; counters end in _total, times are in
seconds.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from runtime.stats import Part, Stats

Sampled = CounterMetricFamily | GaugeMetricFamily


class PrometheusMetrics(Collector):
    """Everything that `GET /metrics` answers."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.messages_dropped = 0  # to web clients that were too slow
        self.clients = 0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics of the last stats in the text format that Prometheus reads, as bytes."""
        return bytes(generate_latest(self._registry))

    def collect(self) -> Iterator[Sampled | InfoMetricFamily]:
        """The metrics that have a value, one family each; called by `text`.

        Values come from `stats`; a statistic that was not set has no family. The numbers of viewers
        and of their dropped messages are always there. Partial instants are all instants less the
        full ones.
        """
        stats, known = self.stats, self.stats.model_fields_set
        families: dict[str, Sampled] = {}
        _add(families, stats, {})
        for camera, figures in stats.cameras.items():
            _add(families, figures, {"camera": camera})
        for stage, percentiles in stats.latency_ms.items():
            _add(families, percentiles, {"stage": stage})
        if stats.world:
            _add(families, stats.world, {})
        for role, quality in (("serves", stats.quality), ("before", stats.quality.before)):
            if quality:
                _add(families, quality, {"engine": quality.engine, "role": role})
        yield from families.values()
        if {"instants", "instants_full"} <= known:
            yield CounterMetricFamily(
                "cvsf_instants_partial",
                "instants that lacked a living camera",
                value=stats.instants - stats.instants_full,
            )
        if "engine" in known:
            backend = {"engine_backend": stats.engine_backend} if stats.engine_backend else {}
            facts = {"engine": stats.engine, **backend}
            yield InfoMetricFamily("cvsf_engine", "the lifter in use", value=facts)
        yield GaugeMetricFamily("cvsf_viewers", "web clients connected", value=self.clients)
        yield CounterMetricFamily(
            "cvsf_viewer_messages_dropped",
            "messages a web client was too slow for",
            value=self.messages_dropped,
        )


def _add(families: dict[str, Sampled], part: Part, labels: Mapping[str, str]) -> None:
    """The part's values to the families of their metrics."""
    for key, metric in type(part).metrics().items():
        value, flag = getattr(part, key), metric.kind == "flag"
        if key not in part.model_fields_set or (value is None and not flag):
            continue
        samples = (
            [({metric.label: k}, v) for k, v in value.items()] if metric.label else [({}, value)]
        )
        for own, number in samples:
            named = {**metric.labels, **labels, **own}
            if metric.name not in families:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                meaning = type(part).model_fields[key].description or ""
                families[metric.name] = kind(metric.name, meaning, labels=list(named))
            amount = float(number is not None) if flag else number * metric.factor
            families[metric.name].add_metric(list(named.values()), amount)
