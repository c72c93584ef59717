"""The PUB end with real subscribers: all are told who speaks, and nobody can hold the hub up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zmq

from cvsf.messages import Skeleton, from_header, unpack
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from runtime.streaming.json_codec import about
from runtime.streaming.zmq_publisher import RAW, SMOOTH, STATS, ZmqPublisher
from tests.support.material import make_skeleton

_ABOUT = about(H36M_16, ["cam0", "cam1"], "lifter-1")


@pytest.fixture
def streamer() -> Iterator[ZmqPublisher]:
    with closing(ZmqPublisher("tcp://127.0.0.1:*", _ABOUT)) as streamer:
        yield streamer


class _Subscriber:
    """A plain SUB socket, as any client in any language has."""

    def __init__(self, streamer: ZmqPublisher, *topics: str) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        for topic in topics:
            self.socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        self.socket.connect(streamer.endpoint)

    def hear(self, streamer: ZmqPublisher, timeout_s: float = 5.0) -> tuple[bytes, bytes] | None:
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            streamer.poll()
            if self.socket.poll(10):
                topic, content = self.socket.recv_multipart()
                return topic, content
        return None

    def close(self) -> None:
        self.socket.close()
        self._context.term()

    def __enter__(self) -> "_Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _wait_until_wanted(streamer: ZmqPublisher, topic: bytes, wanted: bool = True) -> None:
    until_s = time.monotonic() + 5
    while streamer.wants(topic) is not wanted:
        assert time.monotonic() < until_s
        streamer.poll()
        time.sleep(0.005)


def test_a_subscriber_gets_skeletons_as_they_were_sent(streamer: ZmqPublisher) -> None:
    with _Subscriber(streamer, "skeleton.raw") as subscriber:
        _wait_until_wanted(streamer, RAW)
        streamer.send(make_skeleton(5))
        told = subscriber.hear(streamer)
        assert told is not None
        assert told[0] == RAW
        skeleton = from_header(Skeleton, unpack(told[1], trusted=True))
        assert skeleton.instant == 5
        assert np.array_equal(skeleton.joints, make_skeleton(5).joints)


def test_a_late_subscriber_still_gets_the_about_message(streamer: ZmqPublisher) -> None:
    for _ in range(2):
        with _Subscriber(streamer, "about") as subscriber:
            told = subscriber.hear(streamer)
            assert told is not None
            said = unpack(told[1], trusted=True)
            assert said["joint_set"] == "h36m-16"
            assert said["joints"] == list(H36M_16.joints)
            assert [tuple(bone) for bone in said["bones"]] == list(H36M_16.bones)
            assert said["schema"] == 1


def test_a_new_engine_is_announced_to_present_subscribers(streamer: ZmqPublisher) -> None:
    with _Subscriber(streamer, "about") as subscriber:
        assert subscriber.hear(streamer) is not None
        streamer.about = _ABOUT | {"engine": "lifter-2"}
        told = subscriber.hear(streamer)
        assert told is not None
        assert unpack(told[1], trusted=True)["engine"] == "lifter-2"


def test_smoothing_is_done_only_while_somebody_asks_for_it(streamer: ZmqPublisher) -> None:
    streamer.send(make_skeleton(1))
    assert not streamer.wants(SMOOTH)
    with _Subscriber(streamer, "skeleton.smooth") as subscriber:
        _wait_until_wanted(streamer, SMOOTH)
        assert not streamer.wants(RAW)
        streamer.send(make_skeleton(2))
        told = subscriber.hear(streamer)
        assert told is not None
        assert from_header(Skeleton, unpack(told[1], trusted=True)).smoothed
    _wait_until_wanted(streamer, SMOOTH, wanted=False)


def test_an_empty_subscription_gets_every_topic(streamer: ZmqPublisher) -> None:
    with _Subscriber(streamer, "") as subscriber:
        _wait_until_wanted(streamer, STATS)
        streamer.send(make_skeleton(1))
        streamer.send_stats({"t_s": 1.0, "cameras": {"cam0": {"fps": np.float32(20.0)}}})
        heard = set()
        for _ in range(4):
            told = subscriber.hear(streamer)
            assert told is not None
            heard.add(told[0])
        assert heard == {b"about", b"skeleton.raw", b"skeleton.smooth", b"stats"}


_DEAF = """
import sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.SUBSCRIBE, b"")
socket.connect(sys.argv[1])
socket.recv_multipart()
sys.stdout.write("here\\n"); sys.stdout.flush()
time.sleep(600)
"""


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_a_stopped_subscriber_neither_delays_the_hub_nor_grows_its_memory(
    streamer: ZmqPublisher,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _DEAF, streamer.endpoint], stdout=subprocess.PIPE, text=True
    ) as deaf:
        try:
            assert deaf.stdout is not None
            _wait_until_wanted(streamer, RAW)
            streamer.poll()
            assert deaf.stdout.readline() == "here\n"
            os.kill(deaf.pid, signal.SIGSTOP)
            ballast = {"text": "x" * 100_000}
            for _ in range(50):
                streamer.send_stats(ballast)
            before_mb, started = _resident_mb(), time.perf_counter()
            for instant in range(2000):
                streamer.send(make_skeleton(instant))
                streamer.send_stats(ballast)  # 200 MB in all
            assert _resident_mb() - before_mb < 20
            assert time.perf_counter() - started < 60
        finally:
            deaf.kill()


def test_a_port_in_use_is_refused_with_a_sentence(streamer: ZmqPublisher) -> None:
    with pytest.raises(Refusal, match=r"cannot be published at .*in use"):
        ZmqPublisher(streamer.endpoint)
