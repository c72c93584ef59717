"""More cameras than a hub takes: the one more is refused by name, and nothing else happens."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from cvsf.messages import MAX_VIEWS
from cvsf.session.reader import SessionReader
from tests.support.fake_camera import HEIGHT, WIDTH, FakeCamera, filming
from tests.support.product import CAPTURE, HUB, running, until

GREY = simplejpeg.encode_jpeg(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), quality=80)


@pytest.mark.slow
def test_a_running_hub_refuses_a_seventeenth_camera_and_goes_on(
    tmp_path: Path, ports: list[str]
) -> None:
    words = ["--detector", "sim-skier", "--anchor-ns", "0", "--headless", "--data", str(tmp_path)]
    with running([*HUB, *words, *ports]) as hub:
        assert until(lambda: any("hub ready" in line for line in hub.said), 60), hub.said
        with ExitStack() as cameras:
            for number in range(MAX_VIEWS):
                cameras.enter_context(filming(FakeCamera(f"c{number}", ports[1]), [GREY]))
            assert until(lambda: bool(hub.lines) and len(hub.lines[-1]["cameras"]) == MAX_VIEWS)
            late = ["--cams", "1", "--source", "sim", "--names", "late", "--headless"]
            with running([*CAPTURE, *late, "--hub", f"127.0.0.1:{ports[1]}"]) as one:
                assert one.process.wait(60) == 2
            assert any("late" in line and "16 cameras already" in line for line in one.said)
            before = hub.lines[-1]["instants"]
            assert until(lambda: hub.lines[-1]["instants"] > before + 3), hub.said
        assert any("too many cameras" in line and "late" in line for line in hub.said)
        hub.ask_to_end()
        assert hub.process.returncode == 0, hub.said
    session = SessionReader(Path(hub.lines[-1]["session"]))
    assert len(session.cameras) == MAX_VIEWS
