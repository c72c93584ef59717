"""Pictures written as a film: H.264 in MP4, or a GIF.

Browsers play both. H.264 needs the package `av`; GIF needs Pillow, which comes with matplotlib.
"""

import importlib.util
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cvsf.shapes import Picture
from cvsf.system.errors import Refusal

MP4, GIF = ".mp4", ".gif"


def check_movie(path: Path) -> None:
    """Refuse a film that could not be written, before anything is computed: no ending of a film, a
    folder that is not there, or an MP4 without the package `av`.
    """
    if path.suffix not in (MP4, GIF) or path.is_dir():
        raise Refusal(f"--movie is {path}, expected the name of a .mp4 or .gif file")
    if not path.parent.is_dir():
        raise Refusal(f"--movie is in {path.parent}, which is not a folder; create it first")
    if path.suffix == MP4 and importlib.util.find_spec("av") is None:
        raise Refusal(
            "an .mp4 needs the package av, which is not installed; run: pip install '.[rtsp]', or "
            "name a .gif"
        )


def write_movie(path: Path, pictures: Iterable[Picture], per_second: int) -> None:
    """Write RGB pictures of one size, width and height even, as a film, in place of one that is
    there; the ending of `path` says which. Refusal if it cannot be written, or if `av` has no
    encoder for H.264.
    """
    try:
        if path.suffix == MP4:
            _write_mp4(path, pictures, per_second)
        else:
            _write_gif(path, pictures, per_second)
    except OSError as error:
        raise Refusal(f"cannot write {path}: {error.strerror}; name another --movie") from None


def _write_mp4(path: Path, pictures: Iterable[Picture], per_second: int) -> None:
    import av  # not a base dependency

    try:
        av.Codec("h264", "w")
    except av.codec.codec.UnknownCodecError:
        raise Refusal("this av has no encoder for H.264; name a .gif") from None
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as film:
        stream: Any = film.add_stream("h264", rate=Fraction(per_second))
        stream.pix_fmt = "yuv420p"  # what every browser decodes
        stream.options = {"preset": "veryfast", "crf": "20"}
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())


def _write_gif(path: Path, pictures: Iterable[Picture], per_second: int) -> None:
    """All pictures have the colours of the first: what stands still does not flicker."""
    from PIL import Image  # comes with matplotlib

    images, palette = [], None
    for picture in pictures:
        image = Image.fromarray(picture)
        if palette is None:
            palette = image.quantize(256, method=Image.Quantize.MEDIANCUT)
        images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=1000 // per_second,
        loop=0,
    )
