"""`cvsf evaluate`: scores of an engine, and options that exclude each other."""

from pathlib import Path

import pytest

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.skeleton import H36M_16
from cvsf.system.errors import Refusal
from tests.support.recordings import multiview, run
from train.evaluate import evaluate, lift_again


def test_the_shipped_engine_lifts_an_unseen_body_within_60_mm(tmp_path: Path) -> None:
    facts = run(evaluate, multiview(tmp_path / "a.npz"), "--json")
    assert facts["fused"]["p_mpjpe_mm"] < facts["one_view"]["p_mpjpe_mm"]
    assert facts["fused"]["n_mpjpe_mm"] < 60
    assert {"bad_before", "bad_after", "good_before", "good_after"} == set(facts["refined_2d"])
    assert set(facts["jdr"]) == set(H36M_16.joints)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected a FILE to score on, or both of --table N and --dataset DIR"),
        (["{file}", "--table", "3", "--dataset", "."], "expected a FILE to score on"),
        (["--table", "3"], "expected a FILE to score on"),
        (["{file}", "--truth-2d"], "are of a --table; leave them out"),
        (["{file}", "--runs", "."], "are of a --table; leave them out"),
        (
            ["--table", "3", "--dataset", ".", "--subjects", "ann"],
            "--table takes --engine or --runs for its rows, and no --subjects",
        ),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    tmp_path: Path, words: list[str], sentence: str
) -> None:
    file = multiview(tmp_path / "a.npz")
    with pytest.raises(Refusal, match=sentence):
        run(evaluate, *(word.format(file=file) for word in words))


def test_subjects_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no instant is of subject 'zoe', expected some of ann, ben"):
        run(evaluate, multiview(tmp_path / "a.npz"), "--subjects", "ann,zoe")


def test_an_engine_without_a_morph_needs_no_second_lifter() -> None:
    assert lift_again(load_engine(), SHIPPED) is None
