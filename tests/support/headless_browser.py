"""A headless Chromium driven over its DevTools socket: open a page, ask it, take a picture.

The browser is this process's child on a throw-away profile; nothing of it is left behind.
"""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from cvsf.system.errors import Refusal

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--remote-debugging-port=0",  # of loopback; the browser writes down which it got
)
_START_S = 30.0
_ANSWER_S = 30.0


def find_chromium() -> str | None:
    """The path of an installed Chromium, or none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page, until it is closed."""

    def __init__(self, width_px: int = 1600, height_px: int = 1000) -> None:
        path = find_chromium()
        if path is None:
            raise Refusal(
                "No chromium is on PATH (looked for " + ", ".join(_NAMES) + "); install one."
            )
        self._folder = tempfile.TemporaryDirectory(
            prefix="cvsf-chromium-", ignore_cleanup_errors=True
        )
        size = f"--window-size={width_px},{height_px}"
        self._process = subprocess.Popen(
            [path, *_FLAGS, size, f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._page: ClientConnection | None = None
        self._held = ExitStack()
        self._asked = 0
        try:
            self._page = self._held.enter_context(
                connect(self._page_address(), max_size=64 << 20, compression=None)
            )
            self._tell(
                "Emulation.setDeviceMetricsOverride",
                width=width_px,
                height=height_px,
                deviceScaleFactor=1,
                mobile=False,
            )
        except BaseException:
            self.close()
            raise

    def open(self, address: str) -> None:
        """Load the page; it may still be starting when this returns."""
        self._tell("Page.navigate", url=address)

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression, a promise awaited; RuntimeError if it threw."""
        said = self._tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in said:
            raise RuntimeError(f"{expression} threw {said['exceptionDetails'].get('text')}")
        return said["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 15.0) -> Any:
        """The expression's first true value; TimeoutError if it stays false."""
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            try:
                if value := self.ask(expression):
                    return value
            except RuntimeError:
                pass  # the page is between two documents, or has not made the thing yet
            time.sleep(0.1)
        raise TimeoutError(f"{expression} was not true within {timeout_s} s")

    def click(self, selector: str) -> None:
        """A real press of the left button in the middle of the element."""
        x, y = self.ask(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Write what the page shows now as PNG."""
        path.write_bytes(
            base64.b64decode(self._tell("Page.captureScreenshot", format="png")["data"])
        )

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._held.close()
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def _page_address(self) -> str:
        until_s = time.monotonic() + _START_S
        told = Path(self._folder.name) / "DevToolsActivePort"
        while time.monotonic() < until_s and self._process.poll() is None:
            lines = told.read_text().split() if told.exists() else []
            if lines:
                with urlopen(f"http://127.0.0.1:{lines[0]}/json", timeout=5) as answer:
                    targets = json.load(answer)
                for target in targets:
                    if target["type"] == "page":
                        return str(target["webSocketDebuggerUrl"])
            time.sleep(0.05)
        raise Refusal(
            f"chromium did not start in {_START_S:.0f} s; run it once by hand to see why."
        )

    def _tell(self, method: str, **given: Any) -> dict[str, Any]:
        assert self._page is not None
        self._asked += 1
        self._page.send(json.dumps({"id": self._asked, "method": method, "params": given}))
        while True:
            said = json.loads(self._page.recv(timeout=_ANSWER_S))
            if said.get("id") == self._asked:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error'].get('message')}")
                return dict(said.get("result", {}))
