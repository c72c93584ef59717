"""The gate: whether a new engine may go live. It must be better on the kept-back sessions, beyond
chance, and worse on nothing.

Every check has its found and its wanted value; if one fails, the live engine stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int

from cvsf.shapes import Real

# Limits of the gate: guesses between measured values. docs/log.md, 2026-11-23, "what a night
# learns, and what it forgets": everyday movement at 99.8 % of before with rehearsal and at
# 218 % without; a poisoned night with a gain of 6 %. docs/nights.md: gains of 38 to 55 %.
LEAST_GAIN = 0.01
_SESSION_WORSE, _APART_WORSE, _FUSED_WORSE = 0.02, 1.02, 1.05
_REFERENCE_WORSE, _REFERENCE_WORST = 1.05, 1.15
_LEAST_INSTANTS, _LEAST_SECONDS = 40, 5
"""Guesses, not measured. The bootstrap resamples seconds: of one second it has no width."""
_RESAMPLED, _SEED = 2000, 1  # a guess, not measured
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Errors of both engines on one kept-back session, and the second of each instant."""

    session: str
    before: Float[Real, "N"]
    after: Float[Real, "N"]
    block: Int[npt.NDArray[np.int64], "N"]
    views_apart: tuple[float, float]  # before, after
    fused: tuple[float, float]
    is_new: bool  # False: kept back by an earlier night

    @property
    def gain(self) -> float:
        """The gain: the share by which the mean error fell; negative if it rose."""
        return float(1 - self.after.mean() / self.before.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of the gate."""

    check: str
    found: float | None
    wanted: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks, and the gain with its interval."""

    checks: tuple[Check, ...]
    gain: float | None
    interval: tuple[float, float] | None  # 95 %, paired bootstrap over seconds

    @property
    def passed(self) -> bool:
        """Whether every check passed, so that the engine may go live. Without a gain one has
        failed.
        """
        return all(check.passed for check in self.checks)


def decide(
    pairs: Sequence[Pair],
    reference: Mapping[str, tuple[float, float]],
    shipped_mm: tuple[float, float],
) -> Verdict:
    """The verdict from the errors of both engines; `reference` is (before, after) in mm by name,
    `shipped_mm` the errors of the shipped and the new lifter on everyday movement. With too few
    instants or seconds, or errors that are not finite, there are fewer checks, one of which fails,
    and no gain. Only sessions kept back by this night count for the gain.
    """
    new = [pair for pair in pairs if pair.is_new and len(pair.before)]
    instants = sum(len(pair.before) for pair in new)
    seconds = sum(len(np.unique(pair.block)) for pair in new)
    counts = (
        _least("kept-back instants with calibrated cameras", float(instants), _LEAST_INSTANTS),
        _least("seconds covered by these instants", float(seconds), _LEAST_SECONDS),
    )
    if not all(check.passed for check in counts):
        return Verdict(checks=counts, gain=None, interval=None)
    finite = all(np.isfinite(pair.after).all() for pair in pairs)
    are_finite = Check(
        check="all errors of the new engine are finite",
        found=float(finite),
        wanted="1",
        passed=bool(finite),
    )
    if not are_finite.passed:
        return Verdict(checks=(*counts, are_finite), gain=None, interval=None)
    gain, interval = float(np.mean([pair.gain for pair in new])), bootstrap(new)
    checks = (
        *counts,
        are_finite,
        *_on_kept_back(pairs, gain, interval),
        *_on_reference(reference, shipped_mm),
    )
    return Verdict(checks=checks, gain=gain, interval=interval)


def bootstrap(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The 95 % interval (low, high) of the mean gain, in shares, above 0 if the new engine's error
    is smaller, by paired bootstrap: the seconds of each session are resampled, both engines
    together (Efron and Tibshirani 1993, chapter 8, blocks as units). The same pairs give the same
    interval; there must be at least one.
    """
    random = np.random.default_rng(_SEED)
    gains = np.zeros(_RESAMPLED)
    for pair in pairs:
        _, unit = np.unique(pair.block, return_inverse=True)
        before, after = (np.bincount(unit, errors) for errors in (pair.before, pair.after))
        resampled = random.integers(len(before), size=(_RESAMPLED, len(before)))
        gains += 1 - after[resampled].sum(1) / before[resampled].sum(1)
    low, high = np.percentile(gains / len(pairs), _INTERVAL)
    return float(low), float(high)


def _on_kept_back(
    pairs: Sequence[Pair], gain: float, interval: tuple[float, float]
) -> tuple[Check, ...]:
    worst = min(pairs, key=lambda pair: pair.gain)
    distance, fused = (
        float(np.mean([pair[1] for pair in both]) / np.mean([pair[0] for pair in both]))
        for both in ([pair.views_apart for pair in pairs], [pair.fused for pair in pairs])
    )
    return (
        _least("gain of single views on kept-back sessions", gain, LEAST_GAIN),
        _least("lower end of the gain's 95 % interval", interval[0], 0.0),
        _least(f"gain on the worst session, {worst.session}", worst.gain, -_SESSION_WORSE),
        _most("distance between the views' poses, over before", distance, _APART_WORSE),
        _most("error of the fused body, over before", fused, _FUSED_WORSE),
    )


def _on_reference(
    reference: Mapping[str, tuple[float, float]], shipped_mm: tuple[float, float]
) -> tuple[Check, ...]:
    checks = [
        _most(f"error on {name}, over before", after / before, _REFERENCE_WORSE)
        for name, (before, after) in reference.items()
    ]
    over = shipped_mm[1] / shipped_mm[0]
    return (
        *checks,
        _most("error on everyday movement, over the shipped lifter's", over, _REFERENCE_WORST),
    )


def _least(what: str, found: float, wanted: float) -> Check:
    return Check(check=what, found=found, wanted=f"at least {wanted:g}", passed=found >= wanted)


def _most(what: str, found: float, wanted: float) -> Check:
    return Check(check=what, found=found, wanted=f"at most {wanted:g}", passed=found <= wanted)


def plain(check: Check) -> dict[str, Any]:
    """The check as a map, for the report."""
    return {name: getattr(check, name) for name in Check.__slots__}
