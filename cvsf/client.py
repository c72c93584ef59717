"""A hub's live output for Python programs: `for skeleton in skeletons("127.0.0.1"): ...`.

Only the newest skeleton is kept: a slow caller loses some, and is never late. After a restart of
the hub the connection is made again.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

import zmq

from cvsf.messages import Skeleton, from_header, unpack
from cvsf.system.processes import SKELETONS_PORT

_QUEUED = 8  # messages; a guess, not measured
_REFILL_MS = 2  # wait for more messages after a full queue; a guess, not measured
_Message = TypeVar("_Message")


def skeletons(
    host: str = "127.0.0.1",
    port: int = SKELETONS_PORT,
    *,
    smooth: bool = False,
    newest: bool = True,
    timeout_s: float | None = None,
) -> Iterator[Skeleton]:
    """Skeletons as they are computed, for ever; blocks for each. TimeoutError after `timeout_s`
    without one; None waits without limit, also for a hub that is not there. The connection is made
    at the first `next`.

    `smooth` is One Euro filtered by the hub; `newest=False` also yields the queued ones. Messages
    that cannot be read are left out.
    """
    topic = "skeleton.smooth" if smooth else "skeleton.raw"
    return _follow(
        host, port, topic, lambda header: from_header(Skeleton, header), newest, timeout_s
    )


def stats(
    host: str = "127.0.0.1", port: int = SKELETONS_PORT, *, timeout_s: float | None = None
) -> Iterator[dict[str, Any]]:
    """The hub's statistics, about once a second, as maps; blocks for each, the newest only.
    TimeoutError if none comes within `timeout_s` (s); None waits without limit.
    """
    return _follow(host, port, "stats", dict, True, timeout_s)


def about(
    host: str = "127.0.0.1", port: int = SKELETONS_PORT, *, timeout_s: float | None = 5.0
) -> dict[str, Any]:
    """The hub's description: joint set, joints, bones, axes, cameras, engine, schema. Blocks until
    it comes; TimeoutError after `timeout_s` (s), None waits without limit. The connection is closed
    then.
    """
    with closing(_follow(host, port, "about", dict, True, timeout_s)) as messages:
        return next(messages)


def _follow(
    host: str,
    port: int,
    topic: str,
    read: Callable[[dict[str, Any]], _Message],
    newest: bool,
    timeout_s: float | None,
) -> Generator[_Message, None, None]:
    with _subscription(f"tcp://{host}:{port}", topic) as socket:
        while True:
            if not socket.poll(None if timeout_s is None else round(timeout_s * 1e3)):
                raise TimeoutError(f"no {topic} from {host}:{port} in {timeout_s} s")
            parts = socket.recv_multipart()
            wait_ms = 0
            while newest and socket.poll(wait_ms):
                parts = socket.recv_multipart()
                wait_ms = _REFILL_MS
            try:
                message = read(unpack(parts[-1], trusted=True))
            except ValueError:
                continue  # of another schema, or not of a hub
            yield message


@contextmanager
def _subscription(endpoint: str, topic: str) -> Iterator["zmq.Socket[bytes]"]:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, _QUEUED)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 1000)  # detects a hub whose host vanished
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 3000)
        socket.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        socket.setsockopt_string(zmq.SUBSCRIBE, topic)
        socket.connect(endpoint)
        yield socket
