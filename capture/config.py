"""Every knob of a node, with its unit and default."""

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvsf.refusal import Refusal


class CaptureConfig(BaseModel):
    """The `[capture]` table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ring_mb: int = Field(default=180, gt=0)
    """Frames the hub has not yet on disk are kept this long in memory: 30 s of 6 MB/s."""
    jpeg_quality: int = Field(default=85, ge=1, le=100)
    reopen_s: float = Field(default=0.5, gt=0)
    """First pause before a camera that died is opened again; doubles up to `reopen_max_s`."""
    reopen_max_s: float = Field(default=10.0, gt=0)
    frozen_s: float = Field(default=2.0, gt=0)
    """A camera that gives no picture for so long counts as lost and is opened again."""
    drain_s: float = Field(default=1.2, gt=0)
    """How long a stopping node waits for the hub to have everything."""


def load_capture(path: Path | None) -> CaptureConfig:
    """The `[capture]` table of a file; a Refusal names the key that is wrong."""
    if path is None:
        return CaptureConfig()
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise Refusal(f"configuration {path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refusal(f"configuration {path} is not TOML: {error}") from None
    if unknown := sorted(set(tables) - {"capture", "hub"}):
        raise Refusal(f"configuration {path}: table [{unknown[0]}] is unknown, expected [capture] or [hub]")
    try:
        return CaptureConfig.model_validate(tables.get("capture", {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Refusal(f"configuration {path}: capture.{key}: {first['msg']}") from None
