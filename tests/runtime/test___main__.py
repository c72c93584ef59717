"""The hub's door: what it refuses before anything is loaded, and how it ends when it is told to."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvsf.system.errors import Refusal
from runtime.__main__ import hub
from runtime.bench.harness import free_ports


@pytest.fixture
def as_before() -> Iterator[None]:
    """Signal handlers and the hook for threads are this process's again afterwards."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    hook = threading.excepthook
    yield
    threading.excepthook = hook
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_address_that_others_can_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"the hub: 0\.0\.0\.0 is open to other machines"):
        hub(host="0.0.0.0", data=tmp_path)


def test_an_option_that_cannot_be_is_refused_by_its_name_and_a_file_by_its_key(
    tmp_path: Path,
) -> None:
    with pytest.raises(Refusal, match=r"^--record is 'everything'"):
        hub(record="everything", data=tmp_path)
    with pytest.raises(Refusal, match=r"^--web-port is 70000"):
        hub(web_port=70000, data=tmp_path)
    config = tmp_path / "cvsf.toml"
    config.write_text("[hub]\nrecrod = 'none'\n")
    with pytest.raises(Refusal, match=f"configuration {config}: hub.recrod"):
        hub(config=config, data=tmp_path)


def test_an_option_overrides_the_configuration_file(tmp_path: Path) -> None:
    config = tmp_path / "cvsf.toml"
    config.write_text("[hub]\nhost = '127.0.0.1'\nheight_m = 1.8\n")
    with pytest.raises(Refusal, match="--height is 182: expected metres between"):
        hub(config=config, height=182, data=tmp_path)
    with pytest.raises(Refusal, match="--height and --bone were given"):
        hub(config=config, bone="thigh=0.45", data=tmp_path)


def test_cameras_that_cannot_be_read_are_refused_by_their_path(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=f"{tmp_path}/cameras.json cannot be read"):
        hub(cameras=tmp_path / "cameras.json", data=tmp_path)
    with pytest.raises(Refusal, match=f"{tmp_path} is not a session"):
        hub(cameras=tmp_path, data=tmp_path)


@pytest.mark.usefixtures("as_before")
def test_a_hub_is_ready_once_its_ports_are_bound_and_sigterm_ends_it_well(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frames_port, skeletons_port, web_port = free_ports(3)
    hears, says = os.pipe()
    heard: list[bytes] = []

    def stop_when_ready() -> None:
        heard.append(os.read(hears, 10))
        os.kill(os.getpid(), signal.SIGTERM)

    waiting = threading.Thread(target=stop_when_ready)
    waiting.start()
    try:
        hub(
            detector="sim-skier",
            record="none",
            data=tmp_path,
            frames_port=frames_port,
            skeletons_port=skeletons_port,
            web_port=web_port,
            offline=True,
            headless=True,
            ready_fd=says,
        )
    finally:
        waiting.join(20)
        os.close(hears)
    assert heard == [b"\n"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(says)
    assert capfd.readouterr().out == ""  # no camera came, so there is nothing to account for
