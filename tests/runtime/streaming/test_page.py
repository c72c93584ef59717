"""The page in a real browser: the skeleton moves, pictures have overlays, the button records."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from cvsf.messages import Instant, MultiviewPose, Skeleton
from cvsf.skeleton import H36M_16
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from tests.support.headless_browser import Chromium, find_chromium
from tests.support.make_pictures import page_picture
from tests.support.material import make_frame

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium on PATH")

_CAMERAS = tuple(f"cam{view}" for view in range(4))
_PLACES = {
    "hip": (0, 0, 0), "spine": (0, 0.05, 0.25), "thorax": (0, 0.12, 0.48), "head": (0, 0.2, 0.72),
    "hip_": (0.13, 0, -0.02), "knee": (0.16, 0.12, -0.45), "ankle": (0.17, -0.1, -0.85),
    "shoulder": (0.19, 0.12, 0.46), "elbow": (0.38, 0.2, 0.22), "wrist": (0.4, 0.45, 0.2),
}  # fmt: skip


_FOUND = {
    "calibration": 3, "cause": "moved", "instants": 64, "age_s": 2.0, "scale_source": "height",
    "moved": ["cam2"], "moves": 1, "misfit": {"cam0": 0.006, "cam1": 0.04, "cam2": 0.5},
}  # fmt: skip


def _rig() -> dict[str, Any]:
    """Four cameras 8 m away that look at the origin; one of them has moved."""
    cameras = {}
    for view, camera in enumerate(_CAMERAS):
        turn = np.pi / 2 * view
        ahead = np.array([-np.cos(turn), -np.sin(turn), 0.0])
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        cameras[camera] = {
            "centre": -8 * ahead + [0, 0, 1.5],
            "view_from_world": np.stack([right, [0.0, 0.0, -1.0], ahead]),
            "focal_px": 700.0,
            "image_px": [640, 480],
            "moved": camera == "cam2",
        }
    return {"number": 3, "scale_source": "height", "cameras": cameras}


def _body(t_s: float) -> npt.NDArray[np.float64]:
    """A figure that leans from side to side, z up, x to its right."""
    joints = []
    for joint in H36M_16.joints:
        sided = joint[0] in "lr" and joint not in _PLACES
        name = {"hip": "hip_"}.get(joint[1:], joint[1:]) if sided else joint
        x, y, z = _PLACES[name]
        joints.append((-x if sided and joint[0] == "l" else x, y, z))
    lean = 0.45 * np.sin(1.3 * t_s)
    turn = np.array([[np.cos(lean), 0, np.sin(lean)], [0, 1, 0], [-np.sin(lean), 0, np.cos(lean)]])
    body: npt.NDArray[np.float64] = 2 * np.array(joints) @ turn.T
    return body


def _picture(view: int, keypoints_px: npt.NDArray[np.float64]) -> bytes:
    image = np.full((480, 640, 3), (238, 232, 225), np.uint8)
    cv2.rectangle(image, (0, 0), (640, 130 + 10 * view), (205, 150, 100), -1)
    for parent, child in H36M_16.bones:
        ends = keypoints_px[[parent, child]].astype(int).tolist()
        cv2.line(image, ends[0], ends[1], (60, 45, 150), 26)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


class _Hub:
    """A thread that gives the server what a hub's output thread does."""

    def __init__(self, world: bool = False) -> None:
        self.recording, self.world = False, world
        self.asked: list[bool] = []
        self.server = WebServer(
            port=0,
            about=about(H36M_16, _CAMERAS, "lifter-1", world=_rig() if world else None),
            on_record=self._record,
        )
        self.address = f"http://127.0.0.1:{self.server.port}/"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()

    def _record(self, wanted: bool) -> None:
        self.asked.append(wanted)
        self.recording = wanted

    def _run(self) -> None:
        instant = 0
        while not self._stop.wait(0.05):
            self._give(instant)
            if instant % 10 == 0:
                self.server.send_stats(self._stats(instant))
            instant += 1

    def _give(self, instant: int) -> None:
        body, t_ns = _body(instant * 0.05), 1 + instant * 50_000_000
        confidence = np.full(len(H36M_16), 0.95, np.float32)
        turns = [0.4 + np.pi / 2 * view for view in range(len(_CAMERAS))]
        across = [body[:, 0] * np.cos(turn) + body[:, 1] * np.sin(turn) for turn in turns]
        keypoints = [np.stack([320 + 85 * x, 230 - 95 * body[:, 2]], -1) for x in across]
        self.server.send(
            Skeleton(
                t_ns=t_ns,
                uncertainty_ns=0,
                instant=instant,
                engine="lifter-1",
                joints=body.astype(np.float32),
                confidence=confidence,
                views=_CAMERAS,
                measured=True,
                frame_of_reference="world" if self.world else "canonical",
                scale_source="height" if self.world else "unit",
            )
        )
        pose = MultiviewPose(
            t_ns=t_ns,
            instant=instant,
            cameras=_CAMERAS,
            image_px=np.full((len(_CAMERAS), 2), (640, 480), np.float32),
            keypoints_px=np.array(keypoints, np.float32),
            confidence=np.tile(confidence, (len(_CAMERAS), 1)),
        )
        frames = {}
        for view, camera in enumerate(_CAMERAS):
            if (instant + view) % 3 == 0:
                frames[camera] = make_frame(
                    camera, instant, _picture(view, keypoints[view]), t_ns=t_ns
                )
        moment = Instant(index=instant, t_ns=t_ns, frames={}, expected=_CAMERAS, spread_ns=0)
        self.server.show(moment, frames, pose)

    def _stats(self, instant: int) -> dict[str, Any]:
        camera = {"fps": 20.0, "received": instant, "dropped": 0, "clock_error_ms": 0.3}
        return {
            "t_s": instant * 0.05,
            "instants": instant,
            "instants_full": instant,
            "instants_per_s": 20.0,
            "instants_partial_per_s": 0.0,
            "skeletons": instant,
            "skeletons_predicted": 0,
            "latency_ms": {"detect": {"p50": 21.0, "p95": 31.0}, "lift": {"p50": 2.0, "p95": 4.0}},
            "cameras": {name: camera | {"confidence": 0.9, "state": "live"} for name in _CAMERAS},
            "world": _FOUND if self.world else {"calibration": 0, "waiting_for": "movement"},
            "engine": "lifter-1",
            "detector": "skier-1",
            "session": "/data/sessions/2026-11-22T14-03-11Z" if self.recording else None,
            "recording": self.recording,
            "disk_free_gb": 81.2,
            "free_recording_s": 22340.0,
        }


@pytest.fixture
def hub() -> Iterator[_Hub]:
    hub = _Hub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with closing(Chromium(1280, 800)) as browser:
        yield browser


def test_the_skeleton_moves_and_the_pictures_carry_their_overlay(
    hub: _Hub, browser: Chromium
) -> None:
    browser.open(hub.address)
    first = browser.wait_for("window.cvsf && cvsf.skeletons > 5 && cvsf.instant")
    browser.wait_for(f"cvsf.instant > {first + 10}")
    browser.wait_for(
        "cvsf.tiles.pictures >= 12 && cvsf.tiles.overlays >= 12 && cvsf.scene.drawn > 5"
    )
    assert browser.ask("cvsf.tiles.broken") == 0
    assert browser.ask("document.querySelectorAll('.tile').length") == len(_CAMERAS)
    assert browser.ask("[...document.querySelectorAll('.silent')].every((p) => p.hidden)")
    assert browser.ask("document.getElementById('banner').hidden")
    # The overlay is really on the tile: pixels in the two colours of the limbs.
    for tint in ((255, 174, 66), (57, 198, 255)):
        assert browser.ask(_count_pixels("cvsf.tiles.tiles.get('cam0').canvas", tint)) > 50
        assert browser.ask(_count_pixels("cvsf.scene.canvas", tint)) > 50
    assert browser.wait_for("document.getElementById('rate').textContent") == "20.0"
    assert browser.ask("document.querySelectorAll('#stages tr').length") == 2


def test_the_world_shows_cameras_in_their_places_and_which_has_moved(browser: Chromium) -> None:
    with closing(_Hub(world=True)) as hub:
        browser.open(hub.address)
        browser.wait_for("window.cvsf && cvsf.skeletons > 5 && cvsf.scene.drawn > 5")
        assert browser.ask("cvsf.scene.rig.cameras.length") == len(_CAMERAS)
        assert browser.wait_for("document.getElementById('moved').textContent === 'cam2'")
        assert browser.ask("document.getElementById('metres').textContent").endswith("height")
        assert "3 · moved" in browser.ask("document.getElementById('rig').textContent")
        assert browser.ask("document.querySelector('.tile.moved').dataset.camera") == "cam2"
        assert browser.ask("cvsf.scene.trail.length") > 1
        for tint in ((74, 222, 128), (250, 204, 21), (255, 93, 93)):  # sure, fair, moved
            assert browser.ask(_count_pixels("cvsf.scene.canvas", tint)) > 20


def _count_pixels(canvas: str, tint: tuple[int, int, int]) -> str:
    """JavaScript that counts the canvas' pixels of about that hue, shaded or not."""
    return (
        "((c, tint) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 0; i < d.length; i += 4) {"
        "const s = Math.max(d[i], d[i + 1], d[i + 2]) / 255;"
        "const off = tint.reduce((sum, value, at) => sum + Math.abs(d[i + at] / s - value), 0);"
        f"if (s > 0.4 && off < 90) n += 1; }} return n; }})({canvas}, {list(tint)})"
    )


def test_the_record_button_asks_the_hub_and_shows_its_state(hub: _Hub, browser: Chromium) -> None:
    browser.open(hub.address)
    browser.wait_for("window.cvsf && cvsf.recording === false && cvsf.skeletons > 2")
    browser.click("#record")
    browser.wait_for("document.getElementById('record').getAttribute('aria-pressed') === 'true'")
    assert hub.asked == [True]
    assert browser.ask("document.getElementById('recording').textContent") == "recording"
    assert browser.ask("document.getElementById('room').textContent") == "6 h 12"
    browser.click("#record")
    browser.wait_for("cvsf.recording === false && !document.getElementById('record').disabled")
    assert hub.asked == [True, False]


def test_a_lost_hub_is_shown_and_then_connected_again(browser: Chromium) -> None:
    hub = _Hub()
    port = hub.server.port
    browser.open(hub.address)
    browser.wait_for("window.cvsf && cvsf.skeletons > 2")
    hub.close()
    browser.wait_for("!document.getElementById('banner').hidden")
    assert "lost" in browser.ask("document.getElementById('banner').textContent")
    with closing(WebServer(port=port, about=about(H36M_16, _CAMERAS, "lifter-2"))):
        browser.wait_for("cvsf.connected && document.getElementById('banner').hidden")
        assert browser.wait_for("document.getElementById('engine').textContent") == "lifter-2"


def test_dragging_turns_the_scene_and_every_up_axis_is_drawn_upright(
    hub: _Hub, browser: Chromium
) -> None:
    browser.open(hub.address)
    browser.wait_for("window.cvsf && cvsf.skeletons > 2")
    before = browser.ask("cvsf.scene.yaw")
    browser.ask(
        "(() => { const c = cvsf.scene.canvas; c.setPointerCapture = () => {};"
        "for (const [type, x] of [['pointerdown', 100], ['pointermove', 300], ['pointerup', 300]])"
        "c.dispatchEvent(new PointerEvent(type, {pointerId: 1, clientX: x, clientY: 100})); })()"
    )
    assert abs(browser.ask("cvsf.scene.yaw") - before + 1.6) < 0.1
    for axis, up in (("x", 0), ("y", 1), ("z", 2)):
        for sign in (1, -1):
            place = [0.0, 0.0, 0.0]
            place[up] = sign
            upright = browser.ask(
                "import('/scene.js').then(({ Scene }) => {"
                "const s = Object.create(Scene.prototype);"
                f"s.about = {{ up: '{'+' if sign > 0 else '-'}{axis}', joints: [] }}; s.forget();"
                f"s.set({{ frame_of_reference: 'canonical', joints: [{place}] }});"
                "return s.goal; })"
            )
            assert upright == [[0, 0, 1]]


@pytest.mark.slow
def test_a_picture_of_the_running_page_is_written(hub: _Hub, tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    page_picture(hub.address, path, size_px=(1000, 700))
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape == (700, 1000, 3)
    assert image.std() > 20
