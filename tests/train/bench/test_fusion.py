"""`cvsf bench fusion` prints the figures that are promised, of the functions training calls."""

import json
import math
import subprocess
import sys

KEYS = (
    "fusion_over_lifter_step",
    "stage2_step_over_lift_step",
    "fusion_ms",
    "lifter_step_ms",
    "stage2_step_ms",
    "lift_step_ms",
)


def test_the_last_line_holds_the_promised_keys() -> None:
    words = [sys.executable, "-m", "cvsf", "bench", "fusion", "--repeats", "1", "--instants", "8"]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    assert all(math.isfinite(facts[key]) and facts[key] > 0 for key in KEYS)
