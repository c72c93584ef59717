"""Every setting of the hub, with its unit, default and limits: key of `[hub]`, option, or both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from cvsf.calibration.metric_scale import Scale, read_scale
from cvsf.multiview.known_lenses import (
    Lens,
    Lenses,
    check_lenses,
    kept_lenses,
    merged,
    read_lenses,
)
from cvsf.system.errors import Refusal
from cvsf.system.processes import FRAMES_PORT, SKELETONS_PORT, WEB_PORT
from cvsf.system.settings import load_table
from cvsf.wire import LAST_PORT, require_loopback

HUB_FLAGS = {
    "detector": "--detector",
    "engine": "--engine",
    "record": "--record",
    "host": "--host",
    "frames_port": "--frames-port",
    "skeletons_port": "--skeletons-port",
    "web_port": "--web-port",
    "height_m": "--height",
    "bone": "--bone",
    "camera_distance": "--distance",
    "intrinsics": "--intrinsics",
}
"""Settings that are options of `cvsf hub` and `cvsf-capture` too; options override the file."""


class HubConfig(BaseModel):
    """The `[hub]` table of a configuration file; Refusal if its scale or a lens is invalid."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address the hub binds: loopback alone."""
    frames_port: int = Field(default=FRAMES_PORT, ge=1, le=LAST_PORT)
    """TCP port where nodes connect."""
    skeletons_port: int = Field(default=SKELETONS_PORT, ge=1, le=LAST_PORT)
    """TCP port where ZeroMQ clients connect."""
    web_port: int = Field(default=WEB_PORT, ge=1, le=LAST_PORT)
    """TCP port of the page and of WebSocket clients."""
    record: Literal["frames", "poses", "none"] = "frames"
    """What is recorded: pictures and all that is computed, only what is computed, or nothing."""
    min_free_gb: float = Field(default=5, ge=0)
    """Recording stops, and live goes on, when the disk has less."""
    detector: str | None = None
    """2D bundle: its name or its folder; without one, what fits the source."""
    detector_threads: int = Field(default=1, ge=1)
    engine: Literal["auto", "onnxruntime", "tensorrt"] = "auto"
    """What runs the lifter; TensorRT takes over once its plan for this GPU is built."""
    lifter_threads: int = Field(default=1, ge=1)
    drift_hz: float = Field(default=1.0, gt=0)
    """Instants a second on which the lifter is compared with the previous one, at most."""
    drift_window_s: float = Field(default=600.0, gt=0)
    """Of a person seen whole by two views, before the comparison counts."""
    drift_margin: float = Field(default=0.10, ge=0)
    """A lifter worse than the previous one by more than this share is rolled back."""
    roll_back: bool = True
    """Without, a worse lifter is only reported."""
    min_deadline_ms: float = Field(default=10, gt=0)
    max_deadline_ms: float = Field(default=50, gt=0)
    """An instant waits so long for a late camera, at most; what arrives later is recorded, not
    fused.
    """
    absent_s: float = Field(default=0.5, gt=0)
    """A camera that sends nothing for so long is no longer waited for."""
    calibrate: bool = True
    """Cameras are found from the athlete's movement; without, skeletons stay at unit scale."""
    survey_first_s: float = Field(default=1.0, gt=0)
    """Of movement, seen by two cameras, before they are looked for."""
    survey_hz: float = Field(default=20.0, gt=0)
    """Instants a second that go to the online calibrator, at most."""
    height_m: float | None = None
    """The athlete's stature in metres, which makes the metre."""
    bone: str | None = None
    """Or a bone's length in metres: thigh=0.45."""
    camera_distance: str | None = None
    """Or the distance of two cameras in metres: cam0,cam2=7.5."""
    intrinsics: str | None = None
    """TOML of Pose2Sim, anipose or Caliscope: the lenses that are known."""
    lenses: dict[str, Lens] = {}
    """The same as tables, by camera."""
    kept_lenses: bool = True
    """Lenses that `cvsf cameras` keeps are used."""
    max_uncertainty_ms: float = Field(default=300, gt=0)
    """A frame whose exposure is known no better than this is recorded, not fused."""

    _scale: Scale = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Read the scale once, and check the lenses; Refusal if one of them is invalid."""
        try:
            check_lenses(self.lenses)
        except ValueError as error:
            raise Refusal(f"lenses of [hub]: {error}") from None
        self._scale = read_scale(self.height_m, self.bone, self.camera_distance)

    @property
    def scale(self) -> Scale:
        """What makes the metre, of `height_m`, `bone` and `camera_distance`, read when the settings
        were made; an assumed adult without any of them.
        """
        return self._scale


def load_hub_config(path: Path | None, given: Mapping[str, Any]) -> HubConfig:
    """The `[hub]` table of the file (None: the defaults), with the options given in place of its
    values. Refusal, which names it, of an unreadable file, an unknown key, an invalid value or
    scale, or a host that is not loopback.
    """
    settings = load_table(path, "hub", HubConfig, given)
    require_loopback(settings.host, "the hub")
    return settings


def with_lenses(settings: HubConfig, data: Path, recorded: Lenses | None = None) -> HubConfig:
    """The settings with all lenses that are known in `lenses`: its own, else those of `intrinsics`,
    else the `recorded` ones of a session that is replayed, or without one those that `cvsf cameras`
    keeps in the data folder. No file is named or asked for any more. Refusal of a file that cannot
    be used.
    """
    given = read_lenses(Path(settings.intrinsics)) if settings.intrinsics else {}
    kept = kept_lenses(data) if settings.kept_lenses else {}
    lenses = merged(kept if recorded is None else recorded, given, settings.lenses)
    return settings.model_copy(update={"lenses": lenses, "intrinsics": None, "kept_lenses": False})
