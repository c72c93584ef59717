"""A receiver without a network."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from runtime.ingest.receiver import Receiver
from tests.support.receivers import make_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that is not started: tests put its links there themselves."""
    with closing(make_receiver(now_ns=lambda: 0)) as receiver:
        yield receiver
