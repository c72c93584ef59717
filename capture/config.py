"""Every setting of a node, with unit and default."""

from pydantic import BaseModel, ConfigDict, Field


class CaptureConfig(BaseModel):
    """The `[capture]` table of a configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ring_mb: int = Field(default=180, gt=0)
    """Memory for frames that are not durable yet: 30 s of 6 MB/s."""
    jpeg_quality: int = Field(default=85, ge=1, le=100)
    reopen_s: float = Field(default=0.5, gt=0)
    """First pause before a camera that died is opened again; doubles up to `reopen_max_s`."""
    reopen_max_s: float = Field(default=10.0, gt=0)
    frozen_s: float = Field(default=2.0, gt=0)
    """A camera without a picture for so long counts as lost and is opened again."""
    drain_s: float = Field(default=1.2, gt=0)
    """Longest wait of a stopping node until the hub has all frames."""
