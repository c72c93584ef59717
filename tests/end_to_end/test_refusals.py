"""Bad input: one sentence, exit 2, nothing said or written, before the first frame."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.detection.bundle import SHIPPED
from tests.support.product import CAPTURE, HUB, free_ports

SIM = [*CAPTURE, "--cams", "1", "--source", "sim"]
SKIER = [*HUB, "--detector", "sim-skier"]
CASES: dict[str, tuple[list[str], list[str]]] = {
    "no camera": ([*CAPTURE, "--cams", "4"], ["no camera was found", "--source sim"]),
    "three cameras where four were asked for": (
        [*CAPTURE, "--cams", "4", "--source", "sim:0,1,2"],
        ["3 cameras where 4 were asked for", "--cams 3"],
    ),
    "no camera asked for": ([*CAPTURE, "--cams", "0", "--source", "sim"], ["0 cameras", "--cams"]),
    "more cameras than a hub takes": (
        [*CAPTURE, "--cams", "17", "--source", "sim"],
        ["17 cameras were asked for", "at most 16", "--cams"],
    ),
    "a hub for more cameras than it takes": (
        [*SKIER, "--cams", "17"],
        ["--cams is 17", "at most 16"],
    ),
    "a file that is none": (
        [*CAPTURE, "--cams", "1", "--source", "no-such-file.mp4"],
        ["no-such-file.mp4", "no such file"],
    ),
    "an unreadable file": (
        [*CAPTURE, "--cams", "1", "--source", "{folder}/bad.mp4"],
        ["bad.mp4 cannot be read as a video", "H.264"],
    ),
    "an unknown bundle": ([*SIM, "--detector", "nobody"], ["'nobody' is unknown", "sim-skier"]),
    "a bundle of an unknown joint set": (
        [*HUB, "--detector", "{folder}/unknown-set"],
        ["joint set", "coco-18", "h36m-16"],
    ),
    "a network of another number of joints": (
        [*HUB, "--detector", "{folder}/other-set"],
        ["pose.onnx", "17"],
    ),
    "a configuration that is no TOML": ([*SIM, "--config", "{folder}/broken.toml"], ["TOML"]),
    "a table nobody reads": ([*SIM, "--config", "{folder}/table.toml"], ["lens is unknown"]),
    "a misspelt key": ([*SIM, "--config", "{folder}/key.toml"], ["max_deadline_sm"]),
    "a value of the wrong kind": ([*SIM, "--config", "{folder}/kind.toml"], ["ring_mb", "big"]),
    "a taken port for frames": ([*SKIER, "--frames-port", "{taken}"], ["frames", "{taken}"]),
    "a taken port for skeletons": ([*SKIER, "--skeletons-port", "{taken}"], ["{taken}", "use"]),
    "a taken port for the page": ([*SKIER, "--web-port", "{taken}"], ["{taken}", "use"]),
    "a port that is none": ([*SKIER, "--web-port", "70000"], ["--web-port", "70000"]),
    "a folder that cannot be written": (
        [*SIM, "--data", "{sealed_off}"],
        ["Cannot record into {sealed_off}", "--data"],
    ),
    "an address open to others": (
        [*SIM, "--host", "0.0.0.0"],
        ["0.0.0.0", "without authentication"],
    ),
    "a hub open to others": ([*SKIER, "--host", "0.0.0.0"], ["0.0.0.0", "without authentication"]),
    "an open address in the file": (
        [*SIM, "--config", "{folder}/open.toml"],
        ["0.0.0.0", "without authentication"],
    ),
    "an open hub in the file": (
        [*SKIER, "--config", "{folder}/open.toml"],
        ["0.0.0.0", "without authentication"],
    ),
    "an unknown hub": ([*SIM, "--hub", "no.such.host.invalid"], ["no.such.host.invalid"]),
    "no hub where one is named": ([*SIM, "--hub", ""], ["hub is ''", "HOST:PORT"]),
    "a size without a height": ([*SIM, "--size", "huge"], ["huge", "WIDTHxHEIGHT"]),
    "no pictures a second": ([*SIM, "--fps", "0"], ["--fps is 0", "above 0"]),
    "a negative duration": ([*SIM, "--duration", "-1"], ["--duration is -1", "above 0"]),
    "a truth without a folder": ([*SIM, "--truth", "{folder}/no/t.npz"], ["is no folder"]),
    "a way to record that is none": ([*SIM, "--record", "all"], ["record", "all"]),
    "a name that is a path": ([*SIM, "--name", "a/b"], ["a/b"]),
    "a command that is none": ([*HUB[:-1], "dance"], ["no command 'dance'"]),
}
BOXES: dict[str, tuple[list[str], list[str]]] = {
    "no number of cameras": (CAPTURE, ["Missing option '--cams'"]),
    "a number that is none": ([*CAPTURE, "--cams", "many"], ["--cams", "valid integer"]),
    "an option that is none": ([*SIM, "--zoom"], ["No such option: --zoom"]),
    "a hub for fewer than no cameras": ([*SKIER, "--cams", "-1"], ["--cams", "equal to 0"]),
}


@dataclass(frozen=True, slots=True)
class Refused:
    """How a command ended, and what it left."""

    code: int
    out: str
    err: str
    left: list[Path]
    expected: list[str]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Refused]]]:
    """Every case, three at a time: most of the time they load what they then refuse with."""
    folder = tmp_path_factory.mktemp("bad")
    make_material(folder)
    with socket.socket() as taken, sealed_off(folder) as sealed, ThreadPoolExecutor(3) as pool:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        places = {"folder": str(folder), "taken": port, "sealed_off": str(sealed)}
        yield {
            name: pool.submit(refuse, words, expected, places, folder / f"data{k}")
            for k, (name, (words, expected)) in enumerate((CASES | BOXES).items())
        }


def make_material(folder: Path) -> None:
    """Everything bad that has to lie somewhere."""
    (folder / "bad.mp4").write_bytes(b"not a video")
    texts = {
        "broken": "[hub\n",
        "table": "[lens]\n",
        "key": "[hub]\nmax_deadline_sm = 3\n",
        "kind": "[capture]\nring_mb = 'big'\n",
        "open": "[hub]\nhost = '0.0.0.0'\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    for name, joint_set in (("unknown-set", "coco-18"), ("other-set", "coco-17")):
        shutil.copytree(SHIPPED / "sim-skier", folder / name)
        manifest = folder / name / "manifest.json"
        about = json.loads(manifest.read_text()) | {"joint_set": joint_set}
        manifest.write_text(json.dumps(about))


@contextmanager
def sealed_off(folder: Path) -> Iterator[Path]:
    """A folder in which nobody can write, not even root."""
    place = folder / "sealed-off"
    place.mkdir(mode=0o555)
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=9g", "tmpfs", str(place)]
    is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    if not is_mounted and os.access(place, os.W_OK):
        place = folder / "bad.mp4"  # root without mounts: no folder can be made in a file
    yield place
    if is_mounted:
        subprocess.run(["umount", str(place)], check=True)


def refuse(words: list[str], expected: list[str], places: dict[str, str], data: Path) -> Refused:
    """What became of a command that should not start; its own ports, its own folder."""
    given = [word.format_map(places) for word in words]
    start = 3 if given[2] == "capture" else 4
    program, options = given[:start], given[start:]
    if given[2] == "capture" or given[3] == "hub":
        defaults = ["--headless", *([] if "--data" in options else ["--data", str(data)])]
        named = {option for option in options if option.startswith("--")}
        ports = free_ports()
        for option, number in zip(ports[::2], ports[1::2], strict=True):
            defaults += [] if option in named else [option, number]
        options = [*defaults, *options]
    done = subprocess.run([*program, *options], capture_output=True, text=True, timeout=90)
    left = list(data.glob("sessions/*"))
    sentences = [sentence.format_map(places) for sentence in expected]
    return Refused(done.returncode, done.stdout, done.stderr, left, sentences)


def refusal_of(refused: dict[str, Future[Refused]], case: str) -> Refused:
    """What a refused command left: exit 2 and nothing on its output."""
    found = refused[case].result()
    assert found.code == 2, found.err
    assert not found.out
    return found


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence_and_exit_2(
    refused: dict[str, Future[Refused]], case: str
) -> None:
    found = refusal_of(refused, case)
    assert not found.left, "no session is left"
    (sentence,) = [line for line in found.err.splitlines() if not line.startswith('{"level": "')]
    assert all(part in sentence for part in found.expected), sentence


@pytest.mark.parametrize("case", BOXES)
def test_a_misused_option_is_named_and_exit_2(
    refused: dict[str, Future[Refused]], case: str
) -> None:
    found = refusal_of(refused, case)
    assert "Traceback" not in found.err
    said = " ".join(found.err.replace("│", " ").split())
    assert all(part in said for part in found.expected), found.err
