"""A thread that publishes as the hub's output thread does."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from runtime.streaming.zmq_publisher import ZmqPublisher


@contextmanager
def publishing(
    step: Callable[[ZmqPublisher], None],
    period_s: float,
    endpoint: str = "tcp://127.0.0.1:*",
    about: Mapping[str, Any] | None = None,
) -> Iterator[int]:
    """The port of a publisher on which `step` is called every `period_s`."""
    stop, ready, port = threading.Event(), threading.Event(), [0]

    def publish() -> None:
        with closing(ZmqPublisher(endpoint, about)) as publisher:
            port[0] = publisher.port
            ready.set()
            while not stop.wait(period_s):
                step(publisher)

    thread = threading.Thread(target=publish)
    thread.start()
    assert ready.wait(5)
    try:
        yield port[0]
    finally:
        stop.set()
        thread.join()
