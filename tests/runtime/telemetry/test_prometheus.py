"""What Prometheus reads: names, units and labels of every figure, and nothing that is unknown."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.stats import Stats
from runtime.telemetry.prometheus import PrometheusMetrics

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(stats: dict[str, Any]) -> Samples:
    """Every sample by its name and its sorted labels, as Prometheus' own parser reads it."""
    metrics = PrometheusMetrics()
    metrics.stats = Stats.model_validate(stats)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_before_the_first_figures_only_the_web_clients_are_counted() -> None:
    metrics = PrometheusMetrics()
    metrics.clients, metrics.messages_dropped = 2, 5
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }
    assert found == {"cvsf_viewers": 2, "cvsf_viewer_messages_dropped_total": 5}


def test_milliseconds_become_seconds_and_counters_end_in_total() -> None:
    found = scraped(
        {
            "instants": 100,
            "instants_full": 90,
            "latency_ms": {"lift": {"p50": 4.0, "p95": 250.0}},
            "cameras": {"cam0": {"clock_error_ms": 1.5, "fps": 20.0, "recorded": 7}},
        }
    )
    assert found["cvsf_instants_total", ()] == 100
    assert found["cvsf_instants_partial_total", ()] == 10
    assert found["cvsf_latency_seconds", (("quantile", "0.5"), ("stage", "lift"))] == 0.004
    assert found["cvsf_latency_seconds", (("quantile", "0.95"), ("stage", "lift"))] == 0.25
    assert found["cvsf_clock_error_seconds", (("camera", "cam0"),)] == 0.0015
    assert found["cvsf_frames_recorded_total", (("camera", "cam0"),)] == 7


def test_unknown_values_are_left_out_and_a_zero_is_written() -> None:
    found = scraped(
        {
            "free_recording_s": None,
            "disk_free_gb": 0.0,
            "recording": False,
            "cameras": {"cam0": {"fps": 0.0, "clock_error_ms": None, "dropped": 0}},
            "latency_ms": {"wait": {"p50": None, "p95": 0.0}},
        }
    )
    names = {name for name, _ in found}
    assert not names & {"cvsf_free_recording_s", "cvsf_clock_error_seconds", "cvsf_calibration"}
    assert found["cvsf_disk_free_gb", ()] == found["cvsf_recording", ()] == 0
    assert found["cvsf_camera_fps", (("camera", "cam0"),)] == 0
    assert found["cvsf_frames_dropped_total", (("camera", "cam0"),)] == 0
    assert [key for key in found if key[0] == "cvsf_latency_seconds"] == [
        ("cvsf_latency_seconds", (("quantile", "0.95"), ("stage", "wait")))
    ]


@pytest.mark.parametrize(("trouble", "flag"), [(None, 0.0), ("lifter-3: golden differs", 1.0)])
def test_a_refused_engine_raises_a_flag_and_both_engines_have_quality_figures(
    trouble: str | None, flag: float
) -> None:
    before = {"engine": "lifter-1", "bones": 0.02}
    found = scraped(
        {
            "engine": "lifter-2",
            "engine_backend": "onnxruntime",
            "engine_swaps": 3,
            "engine_trouble": trouble,
            "quality": {"engine": "lifter-2", "agreement": 0.1, "before": before},
        }
    )
    info = (("engine", "lifter-2"), ("engine_backend", "onnxruntime"))
    assert found["cvsf_engine_info", info] == 1
    assert found["cvsf_engine_swaps_total", ()] == 3
    assert found["cvsf_engine_trouble", ()] == flag
    serves, was = (("engine", "lifter-2"), ("role", "serves")), (
        ("engine", "lifter-1"), ("role", "before"),
    )  # fmt: skip
    assert found["cvsf_quality_agreement", serves] == 0.1
    assert found["cvsf_quality_bones", was] == 0.02
    assert ("cvsf_quality_bones", serves) not in found


def test_a_label_with_quotes_and_line_breaks_is_escaped() -> None:
    reason = 'header is not msgpack ("\\x00"\nand more)'
    found = scraped({"refused": {reason: 4}})
    assert found["cvsf_messages_refused_total", (("reason", reason),)] == 4
