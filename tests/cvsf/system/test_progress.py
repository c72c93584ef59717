"""Progress that is told to whoever listens."""

from cvsf.system.progress import report_to, reported


def test_a_listener_hears_each_step_that_is_done_and_only_in_its_block() -> None:
    heard: list[tuple[str, int, int]] = []

    def listen(stage: str, done: int, count: int) -> None:
        heard.append((stage, done, count))

    assert list(reported("poses", "abc")) == ["a", "b", "c"]
    with report_to(listen):
        for _ in reported("poses", [1, 2]):
            heard.append(("work", 0, 0))
        assert list(reported("cameras", [1])) == [1]
    assert list(reported("poses", "ab")) == ["a", "b"]
    assert heard == [("work", 0, 0), ("poses", 1, 2), ("work", 0, 0), ("poses", 2, 2)]
