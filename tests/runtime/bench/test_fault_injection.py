"""Engines spoilt on purpose: each one is refused."""

from pathlib import Path

import pytest

from cvsf.engine.engine import SHIPPED, load_engine
from cvsf.engine.manifest import read_manifest
from cvsf.registry.registry import Registry
from cvsf.system.errors import Refusal
from runtime.bench.fault_injection import SPOILT, copy_with_id, put_live
from tests.support.engines import tiny


def test_a_relabelled_engine_loads_under_its_own_name_with_the_shipped_one_as_parent(
    tmp_path: Path,
) -> None:
    folder = copy_with_id(tmp_path / "other", None)
    manifest = read_manifest(folder)
    assert (manifest.id, manifest.parent) == ("other", read_manifest(SHIPPED).id)
    assert load_engine(folder).id == "other"
    assert read_manifest(copy_with_id(tmp_path / "third", "named")).id == "named"


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_engine_is_refused_by_the_registry_and_the_live_one_stays(
    tmp_path: Path, case: str
) -> None:
    registry = Registry(tmp_path / "models")
    live = registry.live_id()
    spoilt = registry.add(tiny(tmp_path / "spoilt", "spoilt"))
    SPOILT[case](spoilt)
    with pytest.raises(Refusal):
        registry.promote("spoilt", "it should be refused")
    assert registry.live_id() == live


def test_a_link_set_by_hand_is_live_whatever_it_points_to(tmp_path: Path) -> None:
    for name in ("one", "nobody"):
        put_live(tmp_path, name)
        assert (tmp_path / "live").readlink() == Path(name)
    assert [path.name for path in tmp_path.iterdir()] == ["live"]
