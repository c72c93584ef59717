"""The history of promotions: its lines, and which engine led to which."""

from pathlib import Path

import pytest

from cvsf.registry.history import (
    HISTORY,
    Promotion,
    append,
    lineage,
    read_history,
    read_intent,
    rolled_back_from,
)
from cvsf.system.disk import Storage


def promoted(engine: str, before: str, *, rolled_back: bool = False) -> Promotion:
    return Promotion(
        at="2027-01-01T02:00:00+00:00",
        engine=engine,
        before=before,
        why="a test",
        rolled_back=rolled_back,
    )


A, B, C = promoted("a", "first"), promoted("b", "a"), promoted("c", "b")
BACK = promoted("a", "b", rolled_back=True)


def test_promotions_are_read_back_in_the_order_they_were_appended(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []
    for one in (A, B, BACK):
        append(Storage(), tmp_path, one)
    assert read_history(tmp_path) == [A, B, BACK]
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 3


@pytest.mark.parametrize("torn", [b'{"at": "2027-', b"\xff\xfe", b"[1, 2]", b'{"engine": "x"}'])
def test_a_torn_line_is_left_out_and_the_next_one_is_whole(tmp_path: Path, torn: bytes) -> None:
    append(Storage(), tmp_path, A)
    with (tmp_path / HISTORY).open("ab") as file:
        file.write(torn)
    assert read_history(tmp_path) == [A]
    append(Storage(), tmp_path, B)
    assert read_history(tmp_path) == [A, B]


def test_an_intent_is_the_promotion_that_was_begun_and_none_where_it_is_not_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "intent.json"
    assert read_intent(path) is None
    append(Storage(), tmp_path, B)
    path.write_bytes((tmp_path / HISTORY).read_bytes())
    assert read_intent(path) == B
    path.write_bytes(path.read_bytes()[:20])
    assert read_intent(path) is None


@pytest.mark.parametrize(
    ("history", "live", "line"),
    [
        ([], "first", ["first"]),
        ([A, B], "b", ["first", "a", "b"]),
        ([A, B, BACK], "a", ["first", "a"]),
        ([A, B, BACK, promoted("c", "a")], "c", ["first", "a", "c"]),
        ([A, B, promoted("a", "b")], "a", ["first", "b", "a"]),  # by hand, and not rolled back
        ([A], "b", ["first", "a", "b"]),  # its line was never written
    ],
)
def test_the_lineage_of_the_live_engine_forgets_what_was_rolled_back(
    history: list[Promotion], live: str, line: list[str]
) -> None:
    assert lineage(history, live, "first") == line


def test_an_engine_that_was_rolled_back_from_stays_so_when_it_is_promoted_once_more() -> None:
    assert rolled_back_from([A, B, C]) == set()
    assert rolled_back_from([A, B, BACK, B, C]) == {"b"}
