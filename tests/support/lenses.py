"""Known lenses for tests."""

from cvsf.multiview.known_lenses import Lens


def made_lens(
    focal_px: float,
    size: tuple[float, float] | None = (1920.0, 1080.0),
    distortions: tuple[float, ...] = (-0.3, 0.1),
) -> Lens:
    """A lens with its principal point in the middle of such a picture."""
    width, height = size or (1920.0, 1080.0)
    middle = ((width - 1) / 2, (height - 1) / 2)
    return Lens(
        matrix=((focal_px, 0.0, middle[0]), (0.0, focal_px, middle[1]), (0.0, 0.0, 1.0)),
        distortions=distortions,
        size=size,
    )
