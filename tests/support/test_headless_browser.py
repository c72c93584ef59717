"""A browser without a window: found, refused, and asked about a page."""

from contextlib import closing
from pathlib import Path

import pytest

from cvsf.system.errors import Refusal
from tests.support.headless_browser import Chromium, find_chromium


def test_without_a_browser_on_the_path_there_is_none_and_opening_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    with pytest.raises(Refusal, match=r"No chromium is on PATH .*chromium-browser.*install one"):
        Chromium()


def test_a_browser_that_ends_at_once_is_refused_and_its_profile_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert find_chromium() == str(browser)
    with pytest.raises(Refusal, match="chromium did not start"):
        Chromium()
    assert list(tmp_path.iterdir()) == [browser]


@pytest.mark.skipif(find_chromium() is None, reason="no chromium on PATH")
def test_a_page_is_asked_clicked_and_waited_for(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<button onclick='setTimeout(() => window.pressed = 3, 50)'>go</button>")
    with closing(Chromium(400, 300)) as browser:
        browser.open(page.as_uri())
        assert browser.wait_for("document.querySelector('button').textContent") == "go"
        assert browser.ask("window.pressed === undefined")
        browser.click("button")
        assert browser.wait_for("window.pressed") == 3
        assert browser.ask("[innerWidth, innerHeight]") == [400, 300]
        with pytest.raises(TimeoutError, match="was not true within"):
            browser.wait_for("false", timeout_s=0.2)
        with pytest.raises(RuntimeError, match=r"nobody\.there threw"):
            browser.ask("nobody.there")
