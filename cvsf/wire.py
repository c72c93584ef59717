"""The wire between nodes and hub: sockets, limits and the small messages around the frames.

The hub binds a ROUTER, nodes connect DEALERs. Parts are [header msgpack] or, for a frame,
[header msgpack, jpeg].

    node -> hub
        report   identity: camera, boot_id, width_px, height_px, fps, pace, in_step; and counts:
                 exposed, acknowledged, dropped {reason: n}, in_ring, clock_error_ns, state, and
                 the fates of the hub's last ack
        frame    `cvsf.messages.Frame`, and `after`: the frame before it in the node's ring, or -1
        probe    camera, sent_ns
        bye      as report, and ended: whether the source came to its end
    hub -> node
        ack      hub_id, camera, boot_id, the highest seq accepted (received), on disk or lost
                 for certain (durable) and processed (taken), and the fates of those up to durable:
                 fates {fate: n}
        echo     sent_ns, hub_ns
        stop     reason
        refused  reason

Only loopback is bound: there is no authentication yet.
"""

import errno
import ipaddress
import re
import socket

import zmq

from cvsf.messages import SCHEMA
from cvsf.system.errors import Refusal

LAST_PORT = 65535
CAMERA_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

MAX_MESSAGE_BYTES = 16 << 20
_HEARTBEAT_MS, _HEARTBEAT_TIMEOUT_MS = 200, 600  # these and below: a guess, not measured
_HANDSHAKE_MS = 2000
_RECONNECT_MS, _RECONNECT_MAX_MS = 50, 1000


def envelope(kind: str, **fields: object) -> dict[str, object]:
    """A small message of the protocol as a new map: its kind, the protocol's number as `schema`,
    and the fields given. Nothing is sent or checked.
    """
    return {"schema": SCHEMA, "kind": kind, **fields}


def require_loopback(host: str, what: str) -> None:
    """Refusal if another machine can reach one of the addresses of `host`, or if the name does not
    resolve; `what` begins the message. Resolving may block.
    """
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        raise Refusal(f"{what}: host {host!r} is not known here; use 127.0.0.1") from None
    if not all(ipaddress.ip_address(str(a).split("%")[0]).is_loopback for a in addresses):
        raise Refusal(
            f"{what}: {host} is open to other machines, without authentication; bind 127.0.0.1"
        )


def parse_host(text: str, port: int) -> str:
    """The ZeroMQ endpoint `tcp://HOST:PORT` of HOST or HOST:PORT; `port` is used where none is
    given. Refusal of a bad port, and of a name without an IPv4 address, which may block. No
    connection is made.
    """
    host, colon, given = text.partition(":")
    if not host or (colon and not (given.isdecimal() and 0 < int(given) <= LAST_PORT)):
        raise Refusal(
            f"hub is {text!r}, expected HOST or HOST:PORT with a port of 1 to {LAST_PORT}"
        )
    try:
        socket.getaddrinfo(host, None, socket.AF_INET)
    except (OSError, UnicodeError):
        raise Refusal(
            f"hub is {text!r}, and no machine called {host!r} is known here; expected a name that"
            " resolves, or an IPv4 address"
        ) from None
    return f"tcp://{host}:{given or port}"


def hub_socket(
    context: "zmq.Context[zmq.Socket[bytes]]", host: str, port: int
) -> "zmq.Socket[bytes]":
    """The hub's ROUTER, bound; the caller closes it. Refusal when the port is taken or cannot be
    bound, or `host` is not loopback. A node that connects again replaces its old connection.
    """
    require_loopback(host, "frames")
    router = context.socket(zmq.ROUTER)
    _set_limits(router)
    router.set(zmq.ROUTER_HANDOVER, 1)
    bind(router, host, port, "frames")
    return router


def node_socket(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> "zmq.Socket[bytes]":
    """A node's ZeroMQ DEALER to the hub's endpoint, which need not be there yet: it returns at once
    and connects again without limit. The caller closes it; what is unsent then is dropped.
    """
    dealer = context.socket(zmq.DEALER)
    _set_limits(dealer)
    dealer.set(zmq.RECONNECT_IVL, _RECONNECT_MS)
    dealer.set(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
    dealer.connect(endpoint)
    return dealer


def bind(socket_: "zmq.Socket[bytes]", host: str, port: int, what: str) -> None:
    """Bind a ZeroMQ socket to an address and port. Refusal if the port is in use or cannot be
    bound; the socket is closed then. `what` begins the message.
    """
    try:
        socket_.bind(f"tcp://{host}:{port}")
    except zmq.ZMQError as error:
        socket_.close(linger=0)
        if error.errno == errno.EADDRINUSE:
            raise Refusal(
                f"{what}: port {port} on {host} is in use; stop the other hub or take another port"
            ) from None
        raise Refusal(f"{what}: cannot bind port {port} on {host} ({error})") from None


def _set_limits(socket_: "zmq.Socket[bytes]") -> None:
    socket_.set(zmq.LINGER, 0)
    socket_.set(zmq.SNDHWM, 64)
    socket_.set(zmq.RCVHWM, 256)
    socket_.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    socket_.set(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket_.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket_.set(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
    socket_.set(zmq.IMMEDIATE, 0)
