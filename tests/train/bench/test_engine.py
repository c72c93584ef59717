"""What the bench of engines says, and that it says what did not run."""

from pathlib import Path

import pytest

from train.bench.engine import CPU, EAGER, ROWS, backends, timed


@pytest.mark.slow
def test_every_batch_size_has_a_ratio_and_a_missing_backend_its_reason(tmp_path: Path) -> None:
    engines, not_run = backends(tmp_path)
    assert CPU in engines
    for name in ("onnxruntime cuda", "tensorrt fp32", "tensorrt fp16"):
        who, how = name.split()
        ran = [one for one in engines if one.startswith(who) and one.endswith(how)]
        assert bool(not_run.get(name)) != bool(ran)
    result = timed({CPU: engines[CPU]}, 10)
    assert set(result["onnxruntime_over_eager"]) == {str(rows) for rows in ROWS}
    assert all(ratio > 0 for ratio in result["onnxruntime_over_eager"].values())
    assert set(result["p99_ms"]) == {EAGER, CPU}
    assert result["parity"][CPU]["relative"] <= 1e-5
