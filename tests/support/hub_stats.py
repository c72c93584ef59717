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

EIGHT = tuple(
    f"{place}-camera-of-the-{side}"
    for side in ("left-bank", "right-bank")
    for place in ("start", "upper-gate", "lower-gate", "finish")
)
ALARMED: dict[str, Any] = STATS | {
    "instants_several_views": 790,
    "instants_full_per_s": 19.4,
    "instants_skipped": 12,
    "frames_late": 31,
    "frames_ahead": 7,
    "frames_beyond_shortest": 0,
    "left_out": {"start-camera-of-the-left-bank: frozen picture": 3},
    "latency_ms": {
        stage: {"p50": 21.4, "p95": 31.5}
        for stage in (
            "decode",
            "detect",
            "crop",
            "pose",
            "keypoints",
            "join",
            "lift",
            "place",
            "publish",
            "record",
            "exposure_to_skeleton",
        )
    },
    "cameras": {
        name: {
            "fps": 20.0,
            "received": 123456,
            "repeated": 0,
            "out_of_order": 0,
            "clock_error_ms": 45.21 if name == EIGHT[4] else 0.31,
            "confidence": 0.91,
            "state": "lost" if name == EIGHT[3] else "live",
            "exposed": 123456,
            "recorded": 111111,
            "not_kept": 0,
            "dropped": 12345,
            "dropped_by": {"ring full": 12345},
            "in_ring": 0,
        }
        for name in EIGHT
    },
    "world": {
        "calibration": 4,
        "cause": "better",
        "instants": 120,
        "age_s": 12.5,
        "scale_source": "adult",
        "moved": [EIGHT[2]],
        "moves": 3,
        "misfit": dict.fromkeys(EIGHT, 0.012) | {EIGHT[6]: 0.041},
        "survey_left_out": 0,
    },
    "engine": "lifter-s1s2-2026-11-23-4f2a91c07d3e",
    "engine_backend": "onnxruntime cpu",
    "engine_swaps": 2,
    "engine_trouble": "lifter-2026-11-24-a1b2c3d4e5f6 takes up to 4 views, expected 8; "
    "compile it for more",
    "engine_plan": None,
    "quality": {
        "engine": "lifter-s1s2-2026-11-23-4f2a91c07d3e",
        "instants": 480,
        "of": 600,
        "agreement": 0.121,
        "reprojection": 0.034,
        "bones": 0.021,
        "before": {
            "engine": "starter-1",
            "agreement": 0.152,
            "reprojection": 0.041,
            "bones": 0.025,
        },
        "rolled_back": {
            "from": "lifter-2026-11-24-a1b2c3d4e5f6",
            "to": "lifter-s1s2-2026-11-23-4f2a91c07d3e",
            "why": "agreement 30 % worse over 1240 instants",
        },
    },
    "recording": False,
    "recording_halted": {"space": "disk full", "disk error": "disk error EIO"},
    "disk_free_gb": 3.21,
    "disk_kept_free_gb": 5.0,
    "disk_alarm": True,
    "free_recording_s": 0,
    "recorded_messages": {"frame": 888888, "instant": 812, "pose": 812, "skeleton": 809},
    "not_recorded": {"disk full": 1200},
    "not_recorded_others": {"disk full": 90},
    "messages_lost": 0,
    "refused": {"bad crc": 2, "header is not msgpack": 1},
}
"""Of eight cameras with long names, and everything that can go wrong at once."""
