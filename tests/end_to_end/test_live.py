"""Self-calibration as a user meets it: real processes, metres in seconds, a knocked camera."""

import os
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cvsf.client import about, skeletons
from cvsf.session.calibrations import CAMERAS, calibrations, read_cameras
from cvsf.session.reader import SessionReader
from cvsf.skeleton import H36M_16
from runtime.bench.score_world import read_scored_session, score_bump, score_world
from tests.support.product import CAPTURE, running, until

# half the rate, so that the suite may share two cores with other work
SIM = [*CAPTURE, "--cams", "4", "--fps", "10", "--headless", "--height", "1.75"]


@pytest.mark.slow
def test_a_session_is_in_metres_within_seconds_notices_a_knocked_camera_and_replays_the_same(
    tmp_path: Path, ports: list[str]
) -> None:
    truth = tmp_path / "truth.npz"
    words = ["--source", "sim?turn=2:5@12", "--seed", "1000010", "--truth", str(truth)]
    words += ["--data", str(tmp_path / "a"), "--duration", "30"]
    with running([*SIM, *words, *ports]) as run:
        assert until(lambda: bool(run.lines) and run.lines[-1]["world"].get("calibration"), 60)
        told = about("127.0.0.1", int(ports[3]))
        found = told["world"]["cameras"]
        assert 2 <= len(found) <= 4
        assert all(np.shape(camera["view_from_world"]) == (3, 3) for camera in found.values())
        live = next(iter(skeletons("127.0.0.1", int(ports[3]), timeout_s=10)))
        assert (live.frame_of_reference, live.scale_source) == ("world", "height")
        run.process.wait(90)
    assert run.process.returncode == 0, run.said
    session = Path(run.lines[-1]["session"])
    take = read_scored_session(session, truth)
    scored, bump = score_world(take), score_bump(take, "cam2")
    in_metres, knocked = take.rows(measured=True)[0], np.flatnonzero(take.moved[:, 2])[0]
    assert in_metres < knocked
    assert scored["mpjpe_mm"] < 60
    assert 0 < bump["bump_noticed_s"] < bump["bump_recovered_s"] < np.inf
    held = list(calibrations(SessionReader(session)))
    assert held[0].cause == "first"
    moved_ns = [h.t_ns for h in held if (h.cause, h.moved) == ("moved", ("cam2",))]
    found_s = moved_ns[0] * 1e-9 - take.t_s[knocked]
    assert bump["bump_noticed_s"] < found_s < bump["bump_recovered_s"] + 0.01
    assert read_cameras(session / CAMERAS).number == held[-1].number
    again = ["--cams", "4", "--source", str(session), "--data", str(tmp_path / "b"), "--headless"]
    with running([*CAPTURE, *again, *ports]) as played:
        played.process.wait(120)
    first, second = (
        {s.t_ns: s for s in SessionReader(path).skeletons()}
        for path in (session, Path(played.lines[-1]["session"]))
    )
    assert first.keys() == second.keys()
    for t_ns, skeleton in first.items():
        assert second[t_ns].calibration == skeleton.calibration
        np.testing.assert_allclose(second[t_ns].joints, skeleton.joints, atol=1e-4)


@pytest.mark.slow
def test_a_killed_hub_goes_on_in_the_same_world(tmp_path: Path, ports: list[str]) -> None:
    words = ["--source", "sim", "--seed", "1000011", "--data", str(tmp_path)]
    with running([*SIM, *words, *ports]) as run:
        assert until(
            lambda: bool(run.lines) and run.lines[-1]["world"].get("calibration", 0) > 0, 60
        )
        before = run.lines[-1]["world"]["calibration"]
        (session,) = (tmp_path / "sessions").iterdir()
        assert until((session / CAMERAS).exists, 30)
        os.kill(run.children("hub")[0], signal.SIGKILL)
        count = len(run.lines)
        assert until(
            lambda: any(
                line["world"].get("calibration", 0) > before and line["skeletons"] > 3
                for line in run.lines[count:]
            ),
            30,
        )
        run.ask_to_end()
        assert run.process.returncode == 0, run.said
    reader = SessionReader(session)
    causes = [held.cause for held in calibrations(reader)]
    assert causes[0] == "first"
    assert "resumed" in causes
    roots = [
        (s.t_ns, s.joints[H36M_16.index("hip")])
        for s in reader.skeletons()
        if s.frame_of_reference == "world" and s.measured
    ]
    for (t0, a), (t1, b) in pairwise(roots):
        assert np.linalg.norm(b - a) < 0.8 + 8 * (t1 - t0) * 1e-9, "the world is one"


@pytest.mark.parametrize("words", [["--height", "182"], ["--bone", "tail=3"]])
def test_impossible_heights_and_bones_are_refused_before_a_camera_starts(
    tmp_path: Path, ports: list[str], words: list[str]
) -> None:
    sim = ["--cams", "2", "--source", "sim", "--headless", "--data", str(tmp_path)]
    with running([*CAPTURE, *sim, *words, *ports]) as run:
        assert run.process.wait(30) == 2
        for thread in run._threads:
            thread.join()
    assert words[0] in run.said[-1]
    assert not run.lines
