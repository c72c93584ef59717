"""Whether a new engine may go live: better on the sessions kept back, beyond chance, and worse on
nothing.

Every check has its found and its wanted value; one that fails keeps the engine that is live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from cvsf.shapes import Real

# Limits of the gate, of the values before the night: guesses. docs/log.md, 2026-11-23 (what a night
# learns, and what it forgets), has the gains and losses of real and poisoned nights under them.
LEAST_GAIN = 0.01
_SESSION_WORSE, _APART_WORSE, _FUSED_WORSE = 0.02, 1.02, 1.05
_REFERENCE_WORSE, _REFERENCE_WORST = 1.05, 1.15
_LEAST_INSTANTS, _LEAST_SECONDS = 40, 5
"""The interval is drawn from seconds: one second would give an interval of no width."""
_RESAMPLED, _SEED = 2000, 1
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both engines on one session kept back: errors and the second each instant is of."""

    session: str
    before: Float[Real, "N"]
    after: Float[Real, "N"]
    block: Int[npt.NDArray[np.int64], "N"]
    views_apart: tuple[float, float]  # before, after
    fused: tuple[float, float]
    is_new: bool  # else an earlier night kept it back

    @property
    def gain(self) -> float:
        """The share by which the mean error fell."""
        return float(1 - self.after.mean() / self.before.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition, met or not."""

    check: str
    found: float | None
    wanted: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks, and the gain they are about."""

    checks: tuple[Check, ...]
    gain: float | None
    interval: tuple[float, float] | None  # 95 %, paired bootstrap over seconds

    @property
    def passed(self) -> bool:
        """Whether the engine may go live."""
        return all(check.passed for check in self.checks)


def decide(
    pairs: Sequence[Pair],
    reference: Mapping[str, tuple[float, float]],
    shipped_mm: tuple[float, float],
) -> Verdict:
    """The verdict on both engines' errors; `reference` is (before, after) in mm by name,
    `shipped_mm` the starter's on the everyday movement and the new engine's.
    """
    new = [pair for pair in pairs if pair.is_new and len(pair.before)]
    count = sum(len(pair.before) for pair in new)
    seconds = sum(len(np.unique(pair.block)) for pair in new)
    enough = (
        _least("instants kept back whose cameras were found", float(count), _LEAST_INSTANTS),
        _least("seconds that these are of", float(seconds), _LEAST_SECONDS),
    )
    if not all(check.passed for check in enough):
        return Verdict(checks=enough, gain=None, interval=None)
    finite = all(np.isfinite(pair.after).all() for pair in pairs)
    whole = Check(
        check="every figure of the new engine is a number",
        found=float(finite),
        wanted="1",
        passed=bool(finite),
    )
    if not whole.passed:
        return Verdict(checks=(*enough, whole), gain=None, interval=None)
    gain, interval = float(np.mean([pair.gain for pair in new])), bootstrap(new)
    checks = (
        *enough,
        whole,
        *_on_kept_back(pairs, gain, interval),
        *_on_reference(reference, shipped_mm),
    )
    return Verdict(checks=checks, gain=gain, interval=interval)


def bootstrap(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The 95 % interval of the mean gain: seconds of each session are drawn again, both engines'
    together (Efron and Tibshirani 1993, chapter 8, blocks as units).
    """
    random = np.random.default_rng(_SEED)
    gains = np.zeros(_RESAMPLED)
    for pair in pairs:
        _, unit = np.unique(pair.block, return_inverse=True)
        before, after = (np.bincount(unit, errors) for errors in (pair.before, pair.after))
        drawn = random.integers(len(before), size=(_RESAMPLED, len(before)))
        gains += 1 - after[drawn].sum(1) / before[drawn].sum(1)
    low, high = np.percentile(gains / len(pairs), _INTERVAL)
    return float(low), float(high)


def _on_kept_back(
    pairs: Sequence[Pair], gain: float, interval: tuple[float, float]
) -> tuple[Check, ...]:
    worst = min(pairs, key=lambda pair: pair.gain)
    apart, fused = (
        float(np.mean([pair[1] for pair in both]) / np.mean([pair[0] for pair in both]))
        for both in ([pair.views_apart for pair in pairs], [pair.fused for pair in pairs])
    )
    return (
        _least("one view errs less on what was kept back, by a share", gain, LEAST_GAIN),
        _least("and with 95 % certainty at least by", interval[0], 0.0),
        _least(f"also on the worst session, {worst.session}", worst.gain, -_SESSION_WORSE),
        _most("views apart, of what they were", apart, _APART_WORSE),
        _most("all views together err, of what they did", fused, _FUSED_WORSE),
    )


def _on_reference(
    reference: Mapping[str, tuple[float, float]], shipped_mm: tuple[float, float]
) -> tuple[Check, ...]:
    checks = [
        _most(f"error on {name}, of what it was", after / before, _REFERENCE_WORSE)
        for name, (before, after) in reference.items()
    ]
    over = shipped_mm[1] / shipped_mm[0]
    return (*checks, _most("and of the starter's on everyday movement", over, _REFERENCE_WORST))


def _least(what: str, found: float, wanted: float) -> Check:
    return Check(check=what, found=found, wanted=f"at least {wanted:g}", passed=found >= wanted)


def _most(what: str, found: float, wanted: float) -> Check:
    return Check(check=what, found=found, wanted=f"at most {wanted:g}", passed=found <= wanted)


def plain(check: Check) -> dict[str, Any]:
    """As the report has it."""
    return {name: getattr(check, name) for name in Check.__slots__}
