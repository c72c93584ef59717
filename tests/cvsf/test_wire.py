"""The sockets between nodes and hub: addresses that are refused, and messages that pass."""

from contextlib import closing

import pytest
import zmq

from cvsf.messages import SCHEMA
from cvsf.system.errors import Refusal
from cvsf.wire import (
    CAMERA_NAME,
    LAST_PORT,
    bind,
    envelope,
    hub_socket,
    node_socket,
    parse_host,
    require_loopback,
)


def test_an_envelope_has_the_schema_the_kind_and_its_fields() -> None:
    assert envelope("probe", camera="cam0") == {"schema": SCHEMA, "kind": "probe", "camera": "cam0"}


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1", "tcp://127.0.0.1:5600"),
        ("localhost:1", "tcp://localhost:1"),
        (f"127.0.0.1:{LAST_PORT}", f"tcp://127.0.0.1:{LAST_PORT}"),
    ],
)
def test_a_host_with_or_without_a_port_becomes_an_endpoint(text: str, endpoint: str) -> None:
    assert parse_host(text, 5600) == endpoint


@pytest.mark.parametrize(
    "text", ["", ":5600", "localhost:", "localhost:0", "localhost:65536", "a:b"]
)
def test_a_host_without_a_name_or_with_a_wrong_port_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="expected HOST or HOST:PORT with a port of 1 to 65535"):
        parse_host(text, 5600)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_an_address_that_other_machines_can_reach_is_refused(host: str) -> None:
    with pytest.raises(Refusal, match=r"open to other machines, without authentication; bind"):
        require_loopback(host, "frames")


def test_a_node_reaches_a_hub_on_loopback_and_gets_its_answer() -> None:
    with zmq.Context() as context, closing(context.socket(zmq.ROUTER)) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with closing(node_socket(context, f"tcp://127.0.0.1:{port}")) as dealer:
            dealer.send_multipart([b"header", b"picture"])
            assert router.poll(5000)
            name, *parts = router.recv_multipart()
            assert parts == [b"header", b"picture"]
            router.send_multipart([name, b"ack"])
            assert dealer.poll(5000)
            assert dealer.recv_multipart() == [b"ack"]


def test_a_port_in_use_is_refused_with_its_number() -> None:
    with zmq.Context() as context, closing(context.socket(zmq.ROUTER)) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        with pytest.raises(Refusal, match=f"frames: port {port} on 127.0.0.1 is in use; stop the"):
            hub_socket(context, "127.0.0.1", port)
        with pytest.raises(Refusal, match=f"pages: port {port} on 127.0.0.1 is in use; stop the"):
            bind(context.socket(zmq.PUB), "127.0.0.1", port, "pages")


@pytest.mark.parametrize(
    ("name", "is_one"), [("cam0", True), ("left.2_b-c", True), (".x", False), ("a b", False)]
)
def test_a_camera_name_is_letters_digits_and_few_signs(name: str, is_one: bool) -> None:
    assert bool(CAMERA_NAME.fullmatch(name)) == is_one
