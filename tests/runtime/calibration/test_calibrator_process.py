"""The calibration process itself: what it answers, and when it ends."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cvsf.messages import pack, unpack
from cvsf.multiview.calibration import from_plain
from runtime.calibration import calibrator_process
from runtime.calibration.observation_codec import to_map
from tests.support.filmed import HZ, Filmed
from tests.support.instants import instants_of
from tests.support.product import processes, until


def test_a_killed_hub_leaves_no_calibration_process() -> None:
    story = (
        "import os, sys, time\n"
        "from cvsf.calibration.metric_scale import Scale\n"
        "from runtime.calibration.calibrator_client import CalibratorClient\n"
        "client = CalibratorClient(Scale(), 1.0, 20.0)\n"
        "print(client._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", story], stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout
        pid = int(hub.stdout.readline())
        assert pid in {p for p, _, _ in processes()}
        hub.kill()
    assert until(lambda: pid not in {p for p, _, _ in processes()}, 15)


@contextmanager
def calibrator() -> Iterator[tuple[socket.socket, "subprocess.Popen[str]"]]:
    """The process, and the hub's end of its socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", calibrator_process.__name__, str(theirs.fileno())]
    with (
        ours,
        subprocess.Popen(
            words, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        theirs.close()
        ours.settimeout(20)
        yield ours, process
        process.kill()


def test_the_calibrator_ends_with_0_when_its_hub_closes_the_socket() -> None:
    with calibrator() as (end, process):
        end.close()
        assert process.wait(20) == 0


def test_an_unknown_message_is_logged_and_the_next_instants_are_calibrated_all_the_same(
    take: Filmed,
) -> None:
    with calibrator() as (end, process):
        end.send(pack({"kind": "dance"}))
        end.send(pack({"kind": "begin", "scale": {"height_m": 1.75}, "first_s": 1.0, "lenses": {}}))
        for seen in instants_of(take.observations)[: 3 * HZ]:
            end.send(pack(to_map(seen)))
        while (told := unpack(end.recv(1 << 20), trusted=True))["kind"] == "refused":
            assert told["reason"]
        assert (told["kind"], told["cause"], told["losses"]) == ("found", "first", 0)
        assert from_plain(told["cameras"]).rig.cameras == take.observations.cameras
        end.close()
        assert process.wait(20) == 0
        assert process.stderr
        assert "unknown message from the hub" in process.stderr.read()
