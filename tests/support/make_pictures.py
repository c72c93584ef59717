"""The pictures of docs/ that a browser takes: `python -m tests.support.make_pictures`.

It runs cvsf-capture on the simulated slope and writes docs/page.png once the cameras are found.
With `--night REPORT.html`, a page of `cvsf bench night --no-swap --keep DIR`, it writes
docs/night.png instead. Needs chromium.
"""

import argparse
import tempfile
from contextlib import closing
from pathlib import Path

from tests.support.headless_browser import Chromium
from tests.support.paths import ROOT
from tests.support.product import CAPTURE, free_ports, running, until

_READY = "cvsf.skeletons > 60 && cvsf.tiles.pictures > 8 && cvsf.recording !== null"
_MEASURED = f"{_READY} && cvsf.skeletons > 200 && document.body.innerText.includes('metres by')"


def page_picture(
    address: str,
    path: Path,
    *,
    size_px: tuple[int, int] = (1600, 1000),
    ready: str = _READY,
    timeout_s: float = 20.0,
) -> None:
    """The page of a running hub as PNG, once it shows what `ready` (JavaScript) asks for;
    TimeoutError if it never does.
    """
    with closing(Chromium(*size_px)) as browser:
        browser.open(address)
        browser.wait_for(ready, timeout_s)
        browser.screenshot(path)


def slope_picture(path: Path) -> None:
    """The page over the simulated slope, in metres."""
    with tempfile.TemporaryDirectory() as data:
        ports = free_ports()
        words = [*CAPTURE, "--source", "sim", "--cams", "4", "--height", "1.75", "--headless"]
        with running([*words, "--data", data, *ports]) as capture:
            assert until(lambda: bool(capture.lines)), capture.said
            port = ports[ports.index("--web-port") + 1]
            page_picture(f"http://127.0.0.1:{port}/", path, ready=_MEASURED, timeout_s=120.0)
            capture.ask_to_end()


def night_picture(report: Path, path: Path) -> None:
    """The top of a night's report."""
    with closing(Chromium(1200, 1560)) as browser:
        browser.open(report.resolve().as_uri())
        browser.wait_for("document.readyState === 'complete' && !!document.querySelector('main')")
        browser.screenshot(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--night", type=Path, metavar="REPORT.html")
    report = parser.parse_args().night
    if report:
        night_picture(report, ROOT / "docs/night.png")
    else:
        slope_picture(ROOT / "docs/page.png")
