"""The hub's stats of one second, typed: every key with its meaning and its Prometheus metric.

Each part of the hub returns its own piece; `Stats` joins them. A key's suffix is its unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Metric:
    """How Prometheus shows a value; a map has one sample a key, labelled `label`."""

    name: str
    kind: Literal["counter", "gauge", "flag"] = "gauge"
    """A flag is 1 while the value is not null."""
    label: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0  # Prometheus counts time in seconds


def key(meaning: str, default: Any = 0, metric: Metric | None = None, **more: Any) -> Any:
    """A pydantic field with its meaning, as docs/protocol.md has it, and its metric, if any.

    `default` is the field's default (0 if not given); `more` are further arguments of pydantic's
    `Field`.
    """
    info = Field(default, description=meaning, **more)
    info.metadata += [metric] if metric else []
    return info


class Part(BaseModel):
    """A piece of the stats; a key that was not set is not in its map."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    @classmethod
    def metrics(cls) -> dict[str, Metric]:
        """How Prometheus shows each field, by the field's name; fields that it does not show are
        missing.
        """
        known = {name: info.metadata for name, info in cls.model_fields.items()}
        return {name: m for name, found in known.items() for m in found if isinstance(m, Metric)}

    def to_map(self) -> dict[str, Any]:
        """The statistics as they are printed and sent: maps, lists, numbers and text.

        Only fields that were set are in it.
        """
        return self.model_dump(by_alias=True, exclude_unset=True)


class CameraStats(Part):
    """Of one camera; each exposure is in one of `recorded`, `not_kept`, `dropped`, `in_ring`."""

    fps: float | None = key("frames of the last second", None, Metric("cvsf_camera_fps"))
    received: int = key("frames since it connected", 0, Metric("cvsf_frames_received", "counter"))
    repeated: int = key("frames that came again: not taken")
    out_of_order: int = key("frames that came before one that is sent again: not taken")
    clock_error_ms: float | None = key(
        "half width of the uncertainty of its clock",
        None,
        Metric("cvsf_clock_error_seconds", factor=1e-3),
    )
    confidence: float | None = key(
        "mean over the joints, of the last second; null without a picture", None
    )
    state: str = key(
        "`live`, `silent`, `lost` (being opened again), `ended` (its file is over), `stopped`",
        "silent",
    )
    exposed: int = key("pictures that it has taken")
    recorded: int = key("exposures on disk", 0, Metric("cvsf_frames_recorded", "counter"))
    not_kept: int = key("exposures that were not to be recorded")
    dropped: int = key("exposures lost", 0, Metric("cvsf_frames_dropped", "counter"))
    dropped_by: dict[str, int] = key("`{reason: count}` of `dropped`", {})
    in_ring: int = key("exposures still in the ring of the node")


class Percentiles(Part):
    """Of one stage, over the recent instants, in ms."""

    p50: float | None = key(
        "time of an instant by stage",
        None,
        Metric("cvsf_latency_seconds", labels={"quantile": "0.5"}, factor=1e-3),
    )
    p95: float | None = key(
        "time of an instant by stage",
        None,
        Metric("cvsf_latency_seconds", labels={"quantile": "0.95"}, factor=1e-3),
    )


class InstantStats(Part):
    """What was counted since the hub started."""

    t_s: float = key("seconds since the hub started")
    instants: int = key("instants processed since then", 0, Metric("cvsf_instants", "counter"))
    instants_full: int = key(
        "those with a frame of every living camera", 0, Metric("cvsf_instants_full", "counter")
    )
    instants_per_s: float = key("instants of the last second", 0.0, Metric("cvsf_instants_per_s"))
    instants_full_per_s: float = key("full instants of the last second", 0.0)
    instants_partial_per_s: float = key(
        "instants of the last second that lacked a camera",
        0.0,
        Metric("cvsf_instants_partial_per_s"),
    )
    instants_several_views: int = key("instants with the person in two or more views")
    skeletons: int = key("skeletons measured", 0, Metric("cvsf_skeletons", "counter"))
    skeletons_predicted: int = key(
        "skeletons predicted, not measured in their instant",
        0,
        Metric("cvsf_skeletons_predicted", "counter"),
    )
    left_out: dict[str, int] = key(
        '`{"camera: reason": count}` of pictures recorded and not processed: frozen, broken, '
        "exposure time not known",
        {},
    )
    cameras: dict[str, CameraStats] = key("`{camera: stats}`, below", {})


class ProcessingStats(Part):
    """Of the way from a frame to a skeleton."""

    latency_ms: dict[str, Percentiles] = key(
        "`{stage: {p50, p95}}` of the recent instants; `exposure_to_skeleton` is all of the way", {}
    )
    instants_skipped: int = key("live instants left out because a newer one was there")
    refused: dict[str, int] = key(
        "`{reason: count}` of messages refused on arrival",
        {},
        Metric("cvsf_messages_refused", "counter", label="reason"),
    )
    detector: str = key("id of the 2D network", "")


class AssemblerStats(Part):
    """Frames that no instant took."""

    frames_late: int = key("frames recorded and not fused: their instant was over")
    frames_ahead: int = key(
        "frames recorded and not fused: their time is in the future, so their clock is wrong"
    )
    frames_beyond_shortest: int = key(
        "frames of a file that continues after a shorter one has ended"
    )


class EngineStats(Part):
    """The lifter that serves."""

    engine: str = key("id of the engine of the present skeletons", "")
    engine_backend: str = key(
        "what runs it: `onnxruntime cpu`, `onnxruntime cuda`, `tensorrt VERSION PRECISION`", ""
    )
    engine_swaps: int = key(
        "how often the engine was swapped since the hub started",
        0,
        Metric("cvsf_engine_swaps", "counter"),
    )
    engine_trouble: str | None = key(
        "null, or why the live engine is refused",
        None,
        Metric("cvsf_engine_trouble", "flag"),
    )
    engine_plan: str | None = key(
        "null, or what is being done to a TensorRT plan, and how much of it is done", None
    )


class EngineQuality(Part):
    """Label-free metrics of one engine ([models.md](models.md)); lower is better."""

    engine: str = key("id of the engine", "")
    agreement: float | None = key(
        "disagreement of the views: distance of their canonical poses from the mean, over its "
        "radius",
        None,
        Metric("cvsf_quality_agreement"),
    )
    reprojection: float | None = key(
        "reprojection error over the person's size", None, Metric("cvsf_quality_reprojection")
    )
    bones: float | None = key(
        "standard deviation of bone lengths over their means", None, Metric("cvsf_quality_bones")
    )


class RollBack(Part):
    """The engine that served and was worse than the previous one."""

    from_: str = key("id of the worse engine", "", alias="from")
    to: str = key("id of the engine that serves instead", "")
    why: str = key("what was worse, and by how much", "")


class Quality(EngineQuality):
    """Of the last instants in which two views saw the whole person, one a second."""

    instants: int = key("instants measured so far, up to `of`")
    of: int = key("instants of a full window")
    before: EngineQuality | None = key(
        "`engine`, `agreement`, `reprojection`, `bones` of the previous engine on the same "
        "instants, or null",
        None,
    )
    rolled_back: RollBack | None = key("null, or `from`, `to` and `why`", None)


class QualityStats(Part):
    """The shadow evaluation."""

    quality: Quality = key("label-free metrics, below; `{}` before the first instant", Quality())


class WorldState(Part):
    """The cameras in the world."""

    calibration: int = key(
        "number of the present calibration; 0 is none yet", 0, Metric("cvsf_calibration")
    )
    waiting_for: str | None = key("why there is none yet", None)
    cause: str = key(
        "`first`, `better`, `moved`, `again`, `resumed` or `known`: why it was made", ""
    )
    instants: int = key("instants it was made from")
    age_s: float = key("seconds since it was made", 0.0)
    scale_source: str = key("source of the metric scale", "")
    moved: list[str] = key("cameras that have moved, left out until they are recovered", [])
    misfit: dict[str, float] = key(
        "`{camera: reprojection error}` over the person's size, median of the last 0.6 s", {}
    )
    survey_left_out: int = key("instants that the online calibrator had no time for")
    moves: int = key("camera moves detected so far", 0, Metric("cvsf_cameras_moved", "counter"))


class WorldStats(Part):
    """Where the cameras are."""

    world: WorldState | None = key("null where cameras are not calibrated; else below", None)


RESUME_SHARE = 1.2
"""Of the space that is kept free: recording goes on above it, so that it does not go on and off at
the limit; a guess, not measured."""


class RecordingStats(Part):
    """The session on disk."""

    session: str | None = key("folder of the session, or null", None)
    recording: bool = key("whether it is being written", False, Metric("cvsf_recording"))
    recording_halted: dict[str, str] = key(
        "`{by: reason}` while it is not: paused, disk full, disk error", {}
    )
    disk_free_gb: float | None = key("free space on that disk", None, Metric("cvsf_disk_free_gb"))
    disk_kept_free_gb: float = key(
        "free space below which recording stops; above 1.2 of it recording goes on by itself"
    )
    disk_alarm: bool = key("true below a fifth of that disk", False)
    free_recording_s: int | None = key(
        "how long that space lasts at the present rate", None, Metric("cvsf_free_recording_s")
    )
    recorded_messages: dict[str, int] = key("`{kind: count}` handed to the disk", {})
    not_recorded: dict[str, int] = key("`{reason: count}` of frames that were not", {})
    not_recorded_others: dict[str, int] = key("`{reason: count}` of all else that was not", {})
    messages_lost: int = key(
        "messages queued for recording that were not written; known at the end"
    )


class Stats(
    RecordingStats, WorldStats, QualityStats, EngineStats, AssemblerStats, ProcessingStats,
    InstantStats,
):  # fmt: skip
    """All of them, as one flat map."""

    alarms: list[str] = key(
        "sentences on faults that need a person, with the cure; worst first", []
    )
    final: bool = key("true in the last one", False)

    @classmethod
    def of(cls, *parts: Part, **more: Any) -> Self:
        """Statistics that are put together from parts, and from further fields by name.

        Of the parts only fields that were set are taken; a later part replaces the same field.
        Unknown names are ignored; pydantic's ValidationError for a value of the wrong type.
        """
        return cls(**{k: getattr(part, k) for part in parts for k in part.model_fields_set}, **more)
