"""One typed Stats: its pieces joined, its map, and the document that is made from it."""

from runtime.stats import EngineStats, RecordingStats, Stats, WorldState, WorldStats
from tests.support.hub_stats import ALARMED, STATS
from tests.support.stats_document import DOCUMENT, between, text


def test_the_pieces_are_joined_to_one_flat_map_of_the_keys_that_were_set() -> None:
    parts = (
        EngineStats(engine="lifter-1", engine_trouble=None),
        WorldStats(world=WorldState(calibration=0, moves=2)),
        RecordingStats(session=None, recording=False),
    )
    assert Stats.of(*parts, final=True).to_map() == {
        "engine": "lifter-1", "engine_trouble": None, "world": {"calibration": 0, "moves": 2},
        "session": None, "recording": False, "final": True,
    }  # fmt: skip


def test_a_map_that_is_read_and_sent_again_is_the_same() -> None:
    for stats in (STATS, ALARMED):
        assert Stats.model_validate(stats).to_map() == stats


def test_a_key_of_a_later_hub_is_ignored() -> None:
    assert Stats.model_validate({"t_s": 1.0, "later": 2}).to_map() == {"t_s": 1.0}


def test_every_key_has_a_meaning_and_the_document_has_all_of_them() -> None:
    assert all(info.description for info in Stats.model_fields.values())
    assert between(DOCUMENT.read_text())[1] == text()
