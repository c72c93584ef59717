"""Lines said to a reader who is quick, slow or gone."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cvsf.system.jsonl import print_json


@contextmanager
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The end of a pipe, of which the other is standard output."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    with os.fdopen(writes, "w") as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        yield reads
    os.close(reads)


def drained(hears: int) -> bytes:
    """All that waits to be read."""
    parts = []
    while True:
        try:
            parts.append(os.read(hears, 1 << 16))
        except BlockingIOError:
            return b"".join(parts)


def test_lines_arrive_at_once_whole_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with reader(monkeypatch) as hears:
        for number in range(3):
            print_json({"number": number, "text": "Zürich\n"})
            line = drained(hears)
            assert line.endswith(b"\n")
            assert json.loads(line) == {"number": number, "text": "Zürich\n"}


def test_a_slow_reader_loses_lines_and_never_sees_half_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    padding = "x" * 9000  # more than a pipe takes in one piece
    with reader(monkeypatch) as hears:
        for number in range(40):
            print_json({"number": number, "padding": padding}, wait_s=0)
        first = drained(hears)
        assert not first.endswith(b"\n")  # the pipe was full in the middle of a line
        print_json({"number": 40, "padding": ""})
        lines = (first + drained(hears)).splitlines()
    numbers = [json.loads(line)["number"] for line in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 0
    assert numbers[-1] == 40
    assert 3 < len(numbers) < 40


def test_a_reader_that_has_gone_does_not_block_the_writer() -> None:
    code = (
        f"import sys; from {print_json.__module__} import print_json; sys.stdin.read()\n"
        "for number in range(1000): print_json({'number': number}, wait_s=60)\n"
        "sys.stderr.write('done')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as speaker:
        assert speaker.stdout is not None
        assert speaker.stdin is not None
        assert speaker.stderr is not None
        speaker.stdout.close()
        speaker.stdin.close()
        assert speaker.stderr.read() == b"done"
        assert speaker.wait(30) == 0
