"""Every exposure of a source."""

import time

from capture.sources.source import Exposure, Source, SourceEnded


def exposures_of(source: Source, pause_after: int | None = None) -> list[Exposure]:
    """All to the end; after `pause_after` of them the reader waits for a quarter of a second."""
    exposures: list[Exposure] = []
    try:
        while True:
            if len(exposures) == pause_after:
                time.sleep(0.25)
            if (exposure := source.read(0.02)) is not None:
                exposures.append(exposure)
    except SourceEnded:
        return exposures
    finally:
        source.close()
