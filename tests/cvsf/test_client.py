"""The Python client and the two documented ones, against a real hub end that comes and goes."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count, islice

import pytest

from cvsf.client import about, skeletons, stats
from cvsf.messages import Skeleton
from cvsf.skeleton import H36M_16
from runtime.streaming import json_codec
from runtime.streaming.web_server import WebServer
from runtime.streaming.zmq_publisher import ZmqPublisher
from tests.support.material import make_skeleton
from tests.support.paths import ROOT
from tests.support.product import until
from tests.support.publishing import publishing

_DOCS = ROOT / "docs"
_ABOUT = json_codec.about(H36M_16, ["cam0", "cam1"], "lifter-1")


@contextmanager
def _hub(
    endpoint: str = "tcp://127.0.0.1:*", period_s: float = 0.01, sent: list[int] | None = None
) -> Iterator[int]:
    """A thread that publishes as the hub's output thread does; its port. `sent` gets the instants
    that were published.
    """
    instants = count()

    def publish(publisher: ZmqPublisher) -> None:
        instant = next(instants)
        publisher.send(make_skeleton(instant, t_ns=time.monotonic_ns()))
        publisher.send_stats({"t_s": instant * period_s, "recording": False})
        if sent is not None:
            sent.append(instant)

    with publishing(publish, period_s, endpoint, _ABOUT) as port:
        yield port


def test_skeletons_arrive_typed_and_in_order() -> None:
    with _hub() as port:
        seen = list(islice(skeletons("127.0.0.1", port, timeout_s=5), 10))
    assert all(isinstance(skeleton, Skeleton) for skeleton in seen)
    instants = [skeleton.instant for skeleton in seen]
    assert instants == sorted(set(instants))
    assert not seen[0].smoothed


def test_a_client_that_asks_for_smoothed_skeletons_gets_them() -> None:
    with _hub() as port:
        assert next(iter(skeletons(port=port, smooth=True, timeout_s=5))).smoothed


def test_a_slow_client_gets_the_newest_skeleton() -> None:
    sent: list[int] = []
    with _hub(period_s=0.002, sent=sent) as port:
        follow = skeletons(port=port, timeout_s=5)
        first = next(follow)
        assert until(lambda: bool(sent) and sent[-1] > first.instant + 300, 30)
        asked = sent[-1]
        newest = max(next(follow).instant for _ in range(3))
        assert newest > (first.instant + asked) / 2  # without skipping it were first.instant + 3


def test_a_client_gets_the_description_and_statistics_of_the_hub() -> None:
    with _hub() as port:
        said = about(port=port)
        assert said["joints"] == list(H36M_16.joints)
        assert said["up"] == "+z"
        assert next(iter(stats(port=port, timeout_s=5)))["recording"] is False


def test_a_client_gets_skeletons_of_a_hub_that_was_restarted() -> None:
    with _hub() as port:
        follow = skeletons(port=port, newest=False, timeout_s=10)
        for _ in range(5):
            last = next(follow)
    with _hub(f"tcp://127.0.0.1:{port}"):
        until_s = time.monotonic() + 10
        while (again := next(follow)).t_ns - last.t_ns < 50_000_000:
            assert time.monotonic() < until_s
        assert again.joints.shape == (len(H36M_16), 3)


def test_a_client_without_a_hub_ends_in_a_timeout_that_names_the_address() -> None:
    with pytest.raises(TimeoutError, match=r"no skeleton\.raw from 127\.0\.0\.1:1 in 0\.2 s"):
        next(skeletons(port=1, timeout_s=0.2))


@pytest.mark.parametrize("name", ["zmq_client.py", "websocket_client.py"])
def test_the_protocol_page_shows_the_client_that_runs(name: str) -> None:
    text = (_DOCS / "clients" / name).read_text()
    assert f"```python\n{text}```" in (_DOCS / "protocol.md").read_text()
    assert sum(bool(line.strip()) for line in text.splitlines()[1:]) <= 15


def _first_line(script: str, address: str) -> str:
    with subprocess.Popen(
        [sys.executable, "-u", str(_DOCS / "clients" / script), address],
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        line = client.stdout.readline()
        client.kill()
    return line


def test_the_documented_zeromq_client_prints_skeletons() -> None:
    with _hub() as port:
        line = _first_line("zmq_client.py", f"tcp://127.0.0.1:{port}")
    assert "['cam0', 'cam1'] [[" in line


def test_the_documented_websocket_client_prints_skeletons() -> None:
    stop = threading.Event()
    with closing(WebServer(port=0, about=_ABOUT)) as server:

        def publish() -> None:
            instant = 0
            while not stop.wait(0.02):
                server.send(make_skeleton(instant, t_ns=time.monotonic_ns()))
                instant += 1

        thread = threading.Thread(target=publish)
        thread.start()
        try:
            address = f"ws://127.0.0.1:{server.port}/skeletons?smooth=1"
            line = _first_line("websocket_client.py", address)
        finally:
            stop.set()
            thread.join()
    assert "left wrist" in line
