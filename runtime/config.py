"""Every knob of the hub, with its unit and default."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cvsf.system.processes import FRAMES_PORT, SKELETONS_PORT, WEB_PORT
from cvsf.wire import LAST_PORT


class HubConfig(BaseModel):
    """The `[hub]` table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    frames_port: int = Field(default=FRAMES_PORT, ge=1, le=LAST_PORT)
    skeletons_port: int = Field(default=SKELETONS_PORT, ge=1, le=LAST_PORT)
    web_port: int = Field(default=WEB_PORT, ge=1, le=LAST_PORT)
    record: Literal["frames", "poses", "none"] = "frames"
    min_free_gb: float = Field(default=5, ge=0)
    """Recording stops, and live goes on, when the disk has less."""
    detector: str | None = None
    """Name or folder of the 2D bundle; without one, what fits the source."""
    detector_threads: int = Field(default=1, ge=1)
    engine: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    """What runs the lifter; TensorRT takes over once its plan for this GPU is built."""
    lifter_threads: int = Field(default=1, ge=1)
    drift_hz: float = Field(default=1.0, gt=0)
    """Instants a second on which the lifter is compared with the one before it, at most."""
    drift_window_s: float = Field(default=600.0, gt=0)
    """Of a person seen whole by two views, before the comparison counts."""
    drift_margin: float = Field(default=0.10, ge=0)
    """A lifter worse than the one before it by more than this share is rolled back."""
    roll_back: bool = True
    """Without, a worse lifter is only reported."""
    min_deadline_ms: float = Field(default=10, gt=0)
    max_deadline_ms: float = Field(default=50, gt=0)
    """An instant waits so long for a late camera, at most; what arrives later is recorded, not
    fused.
    """
    absent_s: float = Field(default=0.5, gt=0)
    """A camera unheard for so long is no longer waited for."""
    calibrate: bool = True
    """Cameras are found from the athlete's movement; without, skeletons stay at unit scale."""
    survey_first_s: float = Field(default=1.0, gt=0)
    """Of movement, seen by two cameras, before they are looked for."""
    survey_hz: float = Field(default=20.0, gt=0)
    """Instants a second that the surveyor is shown, at most."""
    height_m: float | None = None
    """The athlete's stature makes the metre."""
    bone: str | None = None
    """A bone's length makes the metre: thigh=0.45."""
    camera_distance: str | None = None
    """How far apart two cameras stand makes the metre: cam0,cam2=7.5."""
    max_uncertainty_ms: float = Field(default=300, gt=0)
    """A frame whose exposure is known no better than this is recorded, not fused."""
