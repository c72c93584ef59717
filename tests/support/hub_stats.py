"""Figures of one second, as a running hub sends them."""

from typing import Any

STATS: dict[str, Any] = {
    "t_s": 42.0,
    "instants": 812,
    "instants_full": 801,
    "instants_per_s": 19.8,
    "instants_partial_per_s": 0.4,
    "skeletons": 809,
    "skeletons_predicted": 3,
    "latency_ms": {
        stage: {"p50": 21.4, "p95": 31.5}
        for stage in ("decode", "detect", "lift", "publish", "wait", "exposure_to_skeleton")
    },
    "cameras": {
        f"cam{index}": {
            "fps": 20.0,
            "received": 123456,
            "dropped": 12345,
            "clock_error_ms": None if index == 3 else 12.34,
            "confidence": 0.91,
            "state": "lost" if index == 3 else "live",
        }
        for index in range(4)
    },
    "engine": "lifter-4f2a91c07d3e",
    "detector": "skier-sim-8a1b22c03d4e",
    "session": "/home/coach/.local/share/cvsf/sessions/2026-11-22T14-03-11Z-slalom",
    "recording": True,
    "disk_free_gb": 81.2,
    "free_recording_s": 22340.0,
    "refused": {"bad crc": 2},
}
