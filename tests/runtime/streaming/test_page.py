"""The page in a real browser: the skeleton moves, pictures have overlays, the button records."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import pytest

from cvsf.skeleton import H36M_16
from runtime.stats import CameraStats, Stats
from runtime.streaming import web_server
from runtime.streaming.json_codec import about
from runtime.streaming.web_server import WebServer
from runtime.telemetry.alarms import alarms
from tests.support.headless_browser import Chromium, find_chromium
from tests.support.hub_stats import ALARMED, EIGHT
from tests.support.make_pictures import page_picture
from tests.support.shown_hub import CAMERAS, ShownHub

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no chromium on PATH")


@pytest.fixture
def hub() -> Iterator[ShownHub]:
    hub = ShownHub()
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with closing(Chromium(1280, 800)) as browser:
        yield browser


def test_the_skeleton_moves_and_the_pictures_carry_their_overlay(
    hub: ShownHub, browser: Chromium
) -> None:
    browser.open(hub.address)
    first = browser.wait_for("window.cvsf && cvsf.skeletons > 5 && cvsf.instant")
    browser.wait_for(f"cvsf.instant > {first + 10}")
    browser.wait_for(
        "cvsf.tiles.pictures >= 12 && cvsf.tiles.overlays >= 12 && cvsf.scene.drawn > 5"
    )
    assert browser.ask("cvsf.tiles.broken") == 0
    assert browser.ask("document.querySelectorAll('.tile').length") == len(CAMERAS)
    assert browser.ask("[...document.querySelectorAll('.silent')].every((p) => p.hidden)")
    assert browser.ask("document.getElementById('banner').hidden")
    # The overlay is really on the tile: pixels in the two colours of the limbs.
    for tint in ((255, 174, 66), (57, 198, 255)):
        assert browser.ask(_count_pixels("cvsf.tiles.tiles.get('cam0').canvas", tint)) > 50
        assert browser.ask(_count_pixels("cvsf.scene.canvas", tint)) > 50
    assert browser.wait_for("document.getElementById('rate').textContent") == "20.0"
    assert browser.ask("document.querySelectorAll('#stages tr').length") == 2


def test_the_world_shows_cameras_in_their_places_and_which_has_moved(browser: Chromium) -> None:
    with closing(ShownHub(world=True)) as hub:
        browser.open(hub.address)
        browser.wait_for("window.cvsf && cvsf.skeletons > 5 && cvsf.scene.drawn > 5")
        assert browser.ask("cvsf.scene.rig.cameras.length") == len(CAMERAS)
        assert browser.wait_for("document.getElementById('moved').textContent === 'cam2'")
        assert browser.ask("document.getElementById('metres').textContent").endswith("height")
        assert "no. 3 · after a camera moved" in browser.ask(
            "document.getElementById('rig').textContent"
        )
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


def test_the_record_button_asks_the_hub_and_shows_its_state(
    hub: ShownHub, browser: Chromium
) -> None:
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
    hub = ShownHub()
    port = hub.server.port
    browser.open(hub.address)
    browser.wait_for("window.cvsf && cvsf.skeletons > 2")
    hub.close()
    browser.wait_for("!document.getElementById('banner').hidden")
    assert "lost" in browser.ask("document.getElementById('banner').textContent")
    with closing(WebServer(port=port, about=about(H36M_16, CAMERAS, "lifter-2"))):
        browser.wait_for("cvsf.connected && document.getElementById('banner').hidden")
        assert browser.wait_for("document.getElementById('engine').textContent") == "lifter-2"


def test_dragging_turns_the_scene_and_every_up_axis_is_drawn_upright(
    hub: ShownHub, browser: Chromium
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


_CUT = """[...document.querySelectorAll('body *')]
    .filter((e) => e.textContent.trim() && e.clientWidth && e.scrollWidth > e.clientWidth)
    .map((e) => `${e.id || e.tagName} ${e.textContent.trim()}`)"""
_BOXES = """[...[...document.querySelectorAll('.edge .chip')].filter((e) => e.offsetWidth)
    .map((e) => [e.offsetLeft, e.offsetTop + e.parentElement.offsetTop, e.offsetWidth,
        e.offsetHeight]),
    ...cvsf.scene.rig.labels.map((b) => [b.left, b.top, b.width, b.height])]"""


@pytest.mark.parametrize("size", [(1600, 1000), (1400, 900), (390, 844)])
def test_eight_cameras_and_every_alarm_fit_without_cut_or_overlapping_labels(
    size: tuple[int, int],
) -> None:
    stats = ALARMED | {"alarms": alarms(Stats.model_validate(ALARMED))}
    with (
        closing(ShownHub(EIGHT, world=True, stats=stats)) as hub,
        closing(Chromium(*size)) as browser,
    ):
        browser.open(hub.address)
        browser.wait_for("window.cvsf && cvsf.scene.rig.labels.length > 3")
        browser.wait_for("document.querySelectorAll('#alarms li').length === 7")
        assert browser.ask("document.scrollingElement.scrollWidth - innerWidth") <= 0
        assert browser.ask(_CUT) == []
        boxes = browser.ask(_BOXES)
        assert len(boxes) > 8
        for n, one in enumerate(boxes):
            assert not any(_overlap(one, other) for other in boxes[n + 1 :]), boxes
        shown = browser.ask("document.getElementById('alarms').innerText")
        assert all(alarm in shown for alarm in stats["alarms"])


def _overlap(one: list[float], other: list[float]) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def test_a_full_disk_is_named_and_record_does_not_wait_for_it_for_ever(browser: Chromium) -> None:
    halted = {"recording": False, "recording_halted": {"space": "disk full"}}
    with closing(ShownHub(stats=halted)) as hub:
        browser.open(hub.address)
        label = "document.getElementById('record').lastElementChild.textContent"
        browser.wait_for(f"window.cvsf && {label} === 'Waiting for the disk'")
        assert browser.ask("document.getElementById('recording').textContent") == "disk full"
        hub.stats = halted | {"recording_halted": {"space": "disk full", "pause": "paused"}}
        browser.click("#record")
        browser.wait_for(f"{label} === 'Record' && !document.getElementById('record').disabled")
        hub.stats = halted
        browser.click("#record")
        browser.wait_for(f"{label} === 'Waiting for the disk'")
        assert hub.asked == [False, True]


def test_every_key_of_the_stats_that_the_page_reads_is_one_that_the_hub_sends() -> None:
    page = Path(web_server.__file__).with_name("page")
    read = set(re.findall(r"\bstats\.(\w+)", (page / "page.js").read_text()))
    assert len(read) > 15
    assert read <= set(Stats.model_fields)
    of_a_camera = set(re.findall(r"\bfigures\.(\w+)", (page / "tiles.js").read_text()))
    assert of_a_camera <= set(CameraStats.model_fields)


@pytest.mark.slow
def test_a_picture_of_the_running_page_is_written(hub: ShownHub, tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    page_picture(hub.address, path, size_px=(1000, 700))
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape == (700, 1000, 3)
    assert image.std() > 20
