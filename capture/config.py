"""Every knob of a node, with its unit and default."""

from pydantic import BaseModel, ConfigDict, Field


class CaptureConfig(BaseModel):
    """The `[capture]` table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ring_mb: int = Field(default=180, gt=0)
    """Memory for the frames that the hub has not yet on disk: 30 s of 6 MB/s."""
    jpeg_quality: int = Field(default=85, ge=1, le=100)
    reopen_s: float = Field(default=0.5, gt=0)
    """First pause before a camera that died is opened again; doubles up to `reopen_max_s`."""
    reopen_max_s: float = Field(default=10.0, gt=0)
    frozen_s: float = Field(default=2.0, gt=0)
    """A camera that gives no picture for so long counts as lost and is opened again."""
    drain_s: float = Field(default=1.2, gt=0)
    """How long a stopping node waits for the hub to have everything."""
