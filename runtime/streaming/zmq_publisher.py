"""Skeletons to clients over ZeroMQ PUB/SUB: `[topic, msgpack]`, topics as in `docs/protocol.md`.

A slow or stopped subscriber loses messages; it neither takes more memory nor delays the hub.
"""

from collections.abc import Mapping
from typing import Any

import zmq

from cvsf.messages import Skeleton, pack, to_header
from cvsf.system.errors import Refusal
from runtime.streaming.one_euro import OneEuro

ABOUT, RAW, SMOOTH, STATS = b"about", b"skeleton.raw", b"skeleton.smooth", b"stats"
TOPICS = (ABOUT, RAW, SMOOTH, STATS)
_QUEUED = 8  # messages for each subscriber
_LINGER_MS = 200
"""For sending the last messages; a guess, not measured."""
_KERNEL_BYTES = 64 * 1024  # small, so that a subscriber that was blocked is not minutes behind


class ZmqPublisher:
    """The PUB socket; used by the hub's main thread only.

    The constructor binds it; Refusal if the endpoint is taken. `port` is the one that was bound.
    """

    def __init__(
        self, endpoint: str = "tcp://127.0.0.1:5601", about: Mapping[str, Any] | None = None
    ) -> None:
        self._about: dict[str, Any] = dict(about or {})
        self._wanted: set[bytes] = set()
        self._smooth = OneEuro()
        self._context = zmq.Context()
        # XPUB shows the subscriptions; CONFLATE would keep only the last part of a message.
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.SNDHWM, _QUEUED)
        self._socket.setsockopt(zmq.SNDBUF, _KERNEL_BYTES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, 1024)  # of what comes in: subscriptions only
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise Refusal(
                f"Skeletons cannot be published at {endpoint} ({error}); "
                "stop what uses that port or choose another."
            ) from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.port = int(self.endpoint.rpartition(":")[2])

    @property
    def about(self) -> dict[str, Any]:
        """What a new subscriber of `about` gets first, as a map; setting it publishes it.

        The own map is returned, not a copy; setting it takes a copy. Nothing is sent while it is
        empty.
        """
        return self._about

    @about.setter
    def about(self, about: Mapping[str, Any]) -> None:
        self._about = dict(about)
        self._send_about()

    def send(self, skeleton: Skeleton) -> None:
        """Publish the skeleton, and the smoothed one, each only while there is a subscriber to it.

        Never blocks; a slow subscriber loses messages. The filter sees only skeletons that are sent
        smoothed.
        """
        self.poll()
        if self.wants(RAW):
            self._publish(RAW, to_header(skeleton))
        if self.wants(SMOOTH):
            self._publish(SMOOTH, to_header(self._smooth(skeleton)))

    def send_stats(self, stats: Mapping[str, Any]) -> None:
        """Publish the hub's statistics, if there is a subscriber; called once a second, never
        blocks.
        """
        self.poll()
        if self.wants(STATS):
            self._publish(STATS, stats)

    def wants(self, topic: bytes) -> bool:
        """Whether a client had subscribed to the topic at the last `poll`."""
        return any(topic.startswith(prefix) for prefix in self._wanted)

    def poll(self) -> None:
        """Read new subscriptions without waiting.

        A new subscription to `about` has it sent at once, to all its subscribers; nothing is sent
        before a camera has joined.
        """
        is_new = False
        while int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            message = self._socket.recv()
            change, prefix = message[:1], message[1:]
            # Prefixes that match no topic are not kept: a client could send any number of them.
            if change == b"\x01" and any(topic.startswith(prefix) for topic in TOPICS):
                self._wanted.add(prefix)
                is_new |= ABOUT.startswith(prefix)
            elif change == b"\x00":  # ZeroMQ passes it on when the last subscriber has gone
                self._wanted.discard(prefix)
        if is_new:
            self._send_about()

    def close(self) -> None:
        """Close the socket; blocks for up to 0.2 s, while the last messages are sent."""
        self._socket.close(linger=_LINGER_MS)
        self._context.term()

    def _send_about(self) -> None:
        if self._about:  # empty until a camera has joined
            self._publish(ABOUT, self._about)

    def _publish(self, topic: bytes, content: Mapping[str, Any]) -> None:
        self._socket.send_multipart([topic, pack(content)])
