"""A network of a bundle on its backend: ONNX Runtime or TensorRT.

A graph that does not fit its manifest is refused before the first picture.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvsf.engine.engine import BUCKETS, Kind, Progress, choose
from cvsf.engine.manifest import GOLDEN_LIMITS, Precision
from cvsf.engine.onnx_backend import OnnxSession, Session
from cvsf.engine.plan_cache import Plans, Profile, Range
from cvsf.shapes import Shaped
from cvsf.system.errors import Refusal
from runtime.detection.bundle import NetworkManifest

log = logging.getLogger(__name__)

Batch = npt.NDArray[Any]
_TYPES = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}
_USUAL_BATCH = 4  # pictures in a batch


class Network:
    """A session, its input buffers and the batch size its graph allows.

    It starts on TensorRT if its plan exists already, else on ONNX Runtime. The constructor raises
    Refusal if the graph does not fit its manifest, and ValueError for TensorRT without `plans`.
    """

    def __init__(
        self,
        manifest: NetworkManifest,
        path: Path,
        threads: int = 1,
        *,
        kind: Kind = "onnxruntime",
        plans: Path | None = None,
    ) -> None:
        self.manifest, self._path = manifest, path
        session = OnnxSession(path, manifest.outputs, threads)
        self.one_by_one = _checked(session, manifest, path)
        self._session: Session = session
        self._buffer = self._empty(1)
        self._plans = _plans(kind, plans)
        profile, input_range = self._shapes()
        if self._plans is not None and self._plans.is_ready(
            path, "fp16", profile, half_range=input_range
        ):
            try:
                self._open("fp16", None)
            except Refusal as refusal:
                log.warning("network starts on ONNX Runtime: %s", refusal)

    @property
    def backend(self) -> str:
        """What runs it: "onnxruntime cpu", "tensorrt 11.4.0.106 fp16"."""
        return self._session.backend

    def build_plan(self, on_progress: Progress | None = None) -> None:
        """Build the plan and switch to TensorRT, if that is the backend asked for.

        It takes seconds to minutes; nothing happens if it runs on TensorRT already. Mixed precision
        if its outputs are equal within the limit, else float32. Raises Refusal if neither can be
        used; the network then stays on its backend.
        """
        if self._plans is None or not self._session.backend.startswith("onnxruntime"):
            return
        try:
            self._open("fp16", on_progress)
        except Refusal as refusal:
            log.warning("network stays in float32: %s", refusal)
            self._open("fp32", on_progress)

    def buffer(self, count: int) -> Shaped[Batch, "B ..."]:
        """The input buffer for `count` pictures, to be filled by the caller.

        It is the same memory in every call, so it is valid until the next one; it is not cleared.
        """
        if len(self._buffer) < count:
            self._buffer = self._empty(count)
        return self._buffer[:count]

    def run(self, batch: Shaped[Batch, "B ..."]) -> list[Shaped[Batch, "B ..."]]:
        """The outputs for a batch of inputs, in the manifest's order; axis 0 is the picture.

        A network that takes one picture at a time runs once per picture; different numbers of
        people are then filled up with zeros. The batch must not be empty.
        """
        if not self.one_by_one or len(batch) == 1:
            return self._outputs(batch)
        each = [self._outputs(batch[i : i + 1]) for i in range(len(batch))]
        return [_stacked(parts) for parts in zip(*each, strict=True)]

    def _outputs(self, batch: Batch) -> list[Batch]:
        return self._session.run({self.manifest.input: batch})

    def _open(self, precision: Precision, on_progress: Progress | None) -> None:
        """Run its plan from now on, if its outputs for noise are those of ONNX Runtime."""
        from cvsf.engine.tensorrt_backend import TensorrtSession

        assert self._plans is not None
        profile, input_range = self._shapes()
        mixed_range = input_range if precision == "fp16" else None
        plan = self._plans.plan(self._path, precision, profile, on_progress, half_range=mixed_range)
        buckets = (1,) if self.one_by_one else BUCKETS
        session = TensorrtSession(plan, self.manifest.outputs, buckets, precision)
        try:
            self._require_equal_outputs(session, GOLDEN_LIMITS[precision])
            for count in buckets:  # so that no first batch of a size has to wait
                session.run({self.manifest.input: self._empty(count)})
        except Refusal:
            session.close()
            raise
        self._session = session
        log.info(
            "network runs on another backend",
            extra={"network": str(self._path), "on": self.backend},
        )

    def _require_equal_outputs(self, session: Session, limit: float) -> None:
        """Refuse a session whose outputs for noise differ from the present one's."""
        noise = np.random.default_rng(0).uniform(*_range(self.manifest), self._empty(1).shape)
        inputs = {self.manifest.input: noise.astype(self.manifest.dtype)}
        difference = _relative_difference(self._session.run(inputs), session.run(inputs))
        if not difference <= limit:
            raise Refusal(
                f"{self._path} on {session.backend} differs from {self.backend} by "
                f"{difference:.1e} relative, expected at most {limit:.0e}; it is not used"
            )

    def _shapes(self) -> tuple[Profile, Range]:
        """The batch sizes of a plan, and the range of its input."""
        one = self._empty(1).shape[1:]
        least, most = (1, *one), (1 if self.one_by_one else BUCKETS[-1], *one)
        usual = (min(_USUAL_BATCH, most[0]), *one)
        return {self.manifest.input: (least, usual, most)}, _range(self.manifest)

    def _empty(self, count: int) -> Batch:
        width, height = self.manifest.size_px
        planes = self.manifest.channels
        one = (height, width, planes) if self.manifest.layout == "NHWC" else (planes, height, width)
        return np.zeros((count, *one), self.manifest.dtype)


def _stacked(parts: Sequence[Batch]) -> Batch:
    """One array of all pictures, padded if they have different numbers of people."""
    most = max(part.shape[1] for part in parts)
    padded = [
        np.pad(part, [(0, 0), (0, most - part.shape[1])] + [(0, 0)] * (part.ndim - 2))
        for part in parts
    ]
    return np.concatenate(padded)


def _plans(kind: Kind, folder: Path | None) -> Plans | None:
    """The plan cache; None if the backend is not TensorRT."""
    if choose(kind).backend != "tensorrt":
        return None
    if folder is None:
        raise ValueError(f"plans is None, expected a folder for {kind!r}")
    return Plans(folder)


def _range(manifest: NetworkManifest) -> Range:
    """The range of the values of its input."""
    ends = [
        (pixel - mean) / std
        for pixel in (0.0, 255.0)
        for mean in manifest.mean
        for std in manifest.std
    ]
    return min(ends), max(ends)


def _relative_difference(expected: Sequence[Batch], actual: Sequence[Batch]) -> float:
    """The largest relative difference of an output; infinite for different shapes."""
    pairs = list(zip(expected, actual, strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return float("inf")
    return max(float(np.linalg.norm(a - b) / max(float(np.linalg.norm(a)), 1e-9)) for a, b in pairs)


def _checked(session: OnnxSession, manifest: NetworkManifest, path: Path) -> bool:
    """Whether it takes one picture at a time; Refusal if it does not fit the manifest."""
    inputs = {i.name: i for i in session.inputs}
    if list(inputs) != [manifest.input]:
        actual = ", ".join(inputs) or "none"
        raise Refusal(f"{path} has the inputs {actual}, its manifest has {manifest.input}")
    outputs = [o.name for o in session.outputs]
    if missing := [name for name in manifest.outputs if name not in outputs]:
        raise Refusal(
            f"{path} has the outputs {', '.join(outputs)}, its manifest has {', '.join(missing)}"
        )
    graph = inputs[manifest.input]
    if graph.type != _TYPES[manifest.dtype]:
        raise Refusal(f"{path} takes {graph.type}, its manifest has {manifest.dtype}")
    width, height = manifest.size_px
    planes = manifest.channels
    nhwc = manifest.layout == "NHWC"
    wanted = [height, width, planes] if nhwc else [planes, height, width]
    fixed = list(graph.shape)
    fits = len(fixed) == 1 + len(wanted) and all(
        not isinstance(have, int) or have == want
        for have, want in zip(fixed[1:], wanted, strict=True)
    )
    if not fits or (isinstance(fixed[0], int) and fixed[0] != 1):
        raise Refusal(f"{path} takes pictures of {fixed}, its manifest has [batch, {wanted}]")
    if fixed[0] == 1 and manifest.batch == "dynamic":
        log.warning("network takes one picture at a time", extra={"network": str(path)})
    return fixed[0] == 1 or manifest.batch == "one"
