"""Whether a compiled engine's outputs are torch's, and how far they differ.

Where torch itself does not hold still under the rounding of the engine's precision, the engine may
take either side.
"""

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cvsf.engine.engine import Engine
from cvsf.engine.manifest import LIMITS, Difference, Precision
from cvsf.evaluation.metrics import n_mpjpe
from cvsf.model.fusion import FusedLifter
from cvsf.skeleton import Array
from train.batches.body_augmentation import UNIT_MM
from train.batches.probe_inputs import (
    GOLDEN_VIEWS,
    Inputs,
    ProbeInputs,
    golden_sample,
    no_person,
    probe_inputs,
)

PARITY = LIMITS["fp32"].relative
_NUDGE, _NUDGES = 1e-6, 16
"""How far, relatively, and how often pixels are moved to see which modes are equally high."""
_HALF, _SHAKES = 2.0**-10, 8
"""Twice what rounding to half precision moves, relatively, and how often all weights are moved."""
_STABLE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 2e-3}
"""What may move under that, relatively, without being another mode."""
_NOTHING = 1e-9


class Reference(NamedTuple):
    """Torch's outputs for an instant in double and single precision, and where they are stable."""

    exact: dict[str, Tensor]
    single: dict[str, Tensor]
    stable: dict[Precision, dict[str, Tensor]]


class Torch:
    """A network in torch, exact, and moved by as much as rounding may move it."""

    def __init__(self, graph: FusedLifter) -> None:
        self.graph = graph
        self._double = copy.deepcopy(graph).double()
        self._shaken = [_shaken(graph, seed) for seed in range(_SHAKES)]

    def exact(self, sample: Inputs) -> dict[str, Tensor]:
        """Torch's outputs in double precision, by name, for inputs of any float type; without
        gradients.
        """
        return _outputs(self._double, {name: tensor.double() for name, tensor in sample.items()})

    def moved(self, sample: Inputs) -> dict[Precision, dict[str, Tensor]]:
        """Outputs (times, B, ...) by precision: `fp32` with pixels moved by what single precision
        rounds off (16 times), `fp16` with weights moved by what half precision does (8 times). The
        moves are always the same.
        """
        random = torch.Generator().manual_seed(1)
        pixels = sample["keypoints_px"]
        noise = torch.randn((_NUDGES, *pixels.shape), generator=random)
        many = {name: t.expand(_NUDGES, *t.shape).flatten(0, 1) for name, t in sample.items()}
        many["keypoints_px"] = (pixels * (1 + _NUDGE * noise)).flatten(0, 1)
        nudged = _outputs(self.graph, many)
        shaken = [_outputs(graph, sample) for graph in self._shaken]
        return {
            "fp32": {n: t.reshape(_NUDGES, -1, *t.shape[1:]) for n, t in nudged.items()},
            "fp16": {name: torch.stack([each[name] for each in shaken]) for name in nudged},
        }

    def reference(self, sample: Inputs) -> Reference:
        """What an engine is held to (torch in double and single precision), and by precision where
        torch itself does not move under rounding. Only refined pixels may be called unstable, and
        only if more than half of them are stable.
        """
        exact, single = self.exact(sample), _outputs(self.graph, sample)
        stable = {}
        for precision, moved in self.moved(sample).items():
            still = {
                name: _still([value.float(), single[name], *moved[name]], _STABLE[precision])
                for name, value in exact.items()
            }
            # nothing else is an argmax, and most of it is not
            argmax = still["refined_px"].float().mean() > 0.5
            stable[precision] = {
                name: sure if name == "refined_px" and argmax else torch.ones_like(sure)
                for name, sure in still.items()
            }
        return Reference(exact, single, stable)


class Comparison:
    """All that engines of one network are asked before they are written, and torch's answers."""

    def __init__(self, known: Torch) -> None:
        self._asked = [
            (question, [known.reference(row) for row in question.rows])
            for question in probe_inputs(known.graph.joint_set)
        ]

    def worst(self, engine: Engine) -> Difference:
        """How far the engine is from torch in float32 on all probe inputs in all batches together;
        both are infinite if an output is not finite. It runs the engine.
        """
        return difference(
            (
                ({name: array[[i]] for name, array in outputs.items()}, known)
                for question, references in self._asked
                for outputs, answers in _answers(engine, question, references)
                for i, known in enumerate(answers)
            ),
            engine.precision,
        )


def _answers(
    engine: Engine, question: ProbeInputs, references: list[Reference]
) -> Iterator[tuple[dict[str, Array], list[Reference]]]:
    """The engine's outputs for each batch, and torch's for its instants."""
    for size in question.batches:
        which = [i % len(question.rows) for i in range(size)]
        batch = {
            name: torch.cat([question.rows[i][name] for i in which]).numpy()
            for name in question.rows[0]
        }
        yield engine.lift_many(**batch), [references[i] for i in which]


def disagreement(engine: Engine, graph: FusedLifter, sample: Inputs) -> float:
    """Largest difference of any output to torch on `sample`, relative to that output's size, no
    unit; infinite if an output is not finite.
    """
    found = engine.lift_many(**{name: tensor.numpy() for name, tensor in sample.items()})
    return difference([(found, Torch(graph).reference(sample))], engine.precision).relative


def difference(
    answers: Iterable[tuple[dict[str, Array], Reference]], precision: Precision
) -> Difference:
    """How far an engine's outputs are from torch's in single precision, ||a - b|| / ||b|| over all
    instants for the output where that is most, and the largest N-MPJPE (mm) of any instant. Both
    are infinite if an output is not finite.

    Where views leave a joint open, rounding itself grows past the limit; there the engine has to be
    as near to torch in double precision as twice what torch in single precision is. Eq. 2 is an
    argmax: where two modes are equally high within rounding, torch itself goes from one to the
    other when it is moved by no more than that, and the engine may take either.
    """
    sums: dict[str, Tensor] = {}
    apart_mm = 0.0
    for found, known in answers:
        for name, single in known.single.items():
            ours, exact, sure = torch.from_numpy(found[name]), known.exact[name], known.stable
            apart = (ours - single) * sure[precision][name]
            parts = (apart, ours - exact, single - exact, exact)
            energy = torch.stack([part.double().square().sum() for part in parts])
            sums[name] = sums.get(name, torch.zeros(4, dtype=torch.float64)) + energy
            if name in ("canonical", "fused"):
                pose, truth = (t.flatten(0, -3).double().numpy() for t in (ours, single))
                apart_mm = max(apart_mm, UNIT_MM * float(n_mpjpe(pose, truth).mean()))
    limit, worst = LIMITS[precision].relative, 0.0
    for energies in sums.values():
        apart_, error, rounding, size = energies.sqrt().tolist()
        share = apart_ / max(size, _NOTHING)
        if not np.isfinite(share):
            return Difference(relative=float("inf"), n_mpjpe_mm=float("inf"))
        worst = max(worst, 0.0 if share > limit and error <= 2 * rounding else share)
    return Difference(relative=worst, n_mpjpe_mm=apart_mm)


def golden_instants(known: Torch) -> tuple[Inputs, dict[str, Tensor]]:
    """Four instants of four views, the last without a person, and torch's outputs, computed in
    double precision, as float32. Of ten random instants the three are taken that rounding moves
    least: any machine must agree.
    """
    joints = known.graph.joint_set
    tried = [golden_sample(GOLDEN_VIEWS, joints, seed) for seed in range(4, 104, 10)]
    calm = sorted(tried, key=lambda sample: _unrest(known, sample))[:3]
    rows = [*calm, no_person(calm[0])]
    whole = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
    return whole, {name: value.float() for name, value in known.exact(whole).items()}


def write_golden(known: Torch, path: Path) -> None:
    """Write golden vectors to an .npz file, in place of one that is there: inputs and torch's
    outputs, by tensor name.
    """
    sample, outputs = golden_instants(known)
    arrays = {name: tensor.numpy() for name, tensor in (sample | outputs).items()}
    np.savez(path, allow_pickle=False, **arrays)


def _unrest(known: Torch, sample: Inputs) -> float:
    """By how much more than an engine may be off the outputs are moved by rounding."""
    exact = known.exact(sample)
    return max(
        float((moved[name] - value).abs().max() / value.abs().max().clamp_min(1e-9))
        / LIMITS[precision].relative
        for precision, moved in known.moved(sample).items()
        for name, value in exact.items()
    )


def _still(outputs: list[Tensor], limit: float) -> Tensor:
    """Where all outputs are the same, relative to the largest of it."""
    stacked = torch.stack(outputs)
    size = max(1e-9, float(outputs[0].abs().max()))
    return (stacked.amax(0) - stacked.amin(0)).amax(-1, keepdim=True) <= limit * size


def _shaken(graph: FusedLifter, seed: int) -> FusedLifter:
    """The network with every matrix moved by as much as half precision may round its entries."""
    random = torch.Generator().manual_seed(seed)
    shaken = copy.deepcopy(graph)
    with torch.no_grad():
        for weight in shaken.parameters():
            if weight.ndim == 2:
                weight.mul_(1 + _HALF * (2 * torch.rand(weight.shape, generator=random) - 1))
    return shaken


def _outputs(graph: FusedLifter, sample: Inputs) -> dict[str, Tensor]:
    with torch.no_grad():
        return dict(graph(**sample)._asdict())
