"""One night's folder: its lock, its steps, and which night is gone on with."""

import sys
import threading
from pathlib import Path

import pytest

from cvsf.system.errors import Refusal
from train.night.folder import (
    PLAN,
    GivenUp,
    Night,
    Stopped,
    begin,
    held,
    training_command,
    unfinished,
)
from train.night.session_selection import REPORT


@pytest.fixture
def night(tmp_path: Path) -> Night:
    (tmp_path / "2026-11-22").mkdir()
    return Night(tmp_path / "2026-11-22", lock=0)


def test_a_step_is_noted_while_it_is_under_way_and_when_it_is_done(night: Night) -> None:
    with night.step("train"):
        assert night.read("progress.json")["under_way"] == "train"
    found = night.read("progress.json")
    assert (found["under_way"], found["tries"]) == (None, {"train": 1})
    assert [step["step"] for step in found["steps"]] == ["train"]
    later = Night(night.folder, lock=0)
    assert (later.id, later.began, later.steps) == ("2026-11-22", night.began, night.steps)


def test_a_step_that_was_begun_three_times_in_vain_is_given_up(night: Night) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), Night(night.folder, lock=0).step("train"):
            _ = 1 / 0
    with (
        pytest.raises(GivenUp, match="the step train did not end in 3 tries"),
        Night(night.folder, lock=0).step("train"),
    ):
        pytest.fail("a fourth try")


def test_an_interrupted_step_does_not_count_as_a_try(night: Night) -> None:
    stop = threading.Event()
    for _ in range(4):
        with pytest.raises(Stopped), night.step("train", stop):
            raise Stopped
    stop.set()
    with pytest.raises(Stopped), night.step("train", stop):
        pytest.fail("it was told to stop before")
    assert night.read("progress.json")["tries"] == {"train": 0}


def test_a_process_that_fails_gives_the_night_up_with_its_last_words(night: Night) -> None:
    code = "import sys; sys.exit('the loss is nan')"
    with pytest.raises(GivenUp, match="training ended with 1: the loss is nan"):
        night.run([sys.executable, "-c", code], threading.Event())


def test_a_file_that_is_cut_short_is_given_up_and_a_missing_one_is_empty(night: Night) -> None:
    assert night.read(PLAN) == {}
    (night.folder / PLAN).write_text('{"live": ')
    with pytest.raises(GivenUp, match=r"plan\.json cannot be read"):
        night.read(PLAN)


def test_the_newest_night_with_a_plan_and_without_a_report_is_unfinished(tmp_path: Path) -> None:
    assert unfinished(tmp_path) is None
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / PLAN).write_text("{}")
    (tmp_path / "c" / REPORT).write_text("{}")
    assert unfinished(tmp_path) == tmp_path / "b"


def test_two_nights_that_begin_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        folders.append(begin(tmp_path))
        folders[-1].mkdir()  # fails where it is there
    assert len(set(folders)) == 3


def test_the_lock_of_nights_is_refused_where_nothing_can_be_written(tmp_path: Path) -> None:
    with held(tmp_path / "nights") as lock:
        assert lock > 2
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Refusal, match="Nothing can be written to"), held(tmp_path / "file" / "n"):
        pytest.fail("held")


def test_training_is_started_by_torchrun_where_there_are_several_processes() -> None:
    assert "torch.distributed.run" not in training_command(1)
    several = training_command(4)
    assert several[several.index("--nproc-per-node") + 1] == "4"
    assert several[-1] == training_command(1)[-1]
