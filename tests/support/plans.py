"""A network whose plan is quickly built by the stand-in for TensorRT."""

from pathlib import Path

from cvsf.engine.plan_cache import PLAN, Plans
from runtime.detection import bundle
from runtime.detection.bundle import SIMULATED
from tests.support.paths import ROOT

FAKES = ROOT / "tests" / "support" / "fakes"
NETWORK = bundle.SHIPPED / SIMULATED / "pose.onnx"
PICTURES = {"image": ((1, 3, 128, 128), (4, 3, 128, 128), (16, 3, 128, 128))}


def built(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{PLAN}"))


def small(plans: Path) -> Path:
    """A plan that is quickly built."""
    return Plans(plans).plan(NETWORK, "fp32", PICTURES)
