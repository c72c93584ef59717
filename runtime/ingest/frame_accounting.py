"""Frame accounting: every exposure of a camera is recorded, not kept, dropped, or in the ring.

It covers all runs of a node and all hubs of the session. An exposure of unknown fate counts as
dropped.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cvsf.session.statistics import Source
from runtime.ingest.camera_connection import NOT_KEPT, RECORDED, Link, OnDisk


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """exposed = recorded + not_kept + dropped + in_ring, always."""

    exposed: int = 0
    recorded: int = 0
    not_kept: int = 0
    in_ring: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def dropped(self) -> int:
        """How many exposures were dropped, for any reason: those in none of the other places."""
        return self.exposed - self.recorded - self.not_kept - self.in_ring

    def __add__(self, other: "Account") -> "Account":
        return Account(
            exposed=self.exposed + other.exposed,
            recorded=self.recorded + other.recorded,
            not_kept=self.not_kept + other.not_kept,
            in_ring=self.in_ring + other.in_ring,
            reasons=self.reasons + other.reasons,
        )

    def explained(self, rest: str) -> "Account":
        """A copy in which the drops that have no reason yet are counted under `rest`.

        They are added to what `rest` has already. The numbers of frames stay; only `reasons` grows.
        """
        unexplained = self.dropped - self.reasons.total()
        return self + Account(reasons=Counter({rest: max(unexplained, 0)}))


def account(
    camera: str,
    present: Link | None,
    runs: Mapping[Source, Link],
    before: Mapping[Source, OnDisk],
    *,
    final: bool,
) -> Account:
    """The sum over all runs of the node of `camera`, of this hub and of those before it.

    `present` is the run that is connected now (None if none), `before` holds the runs found on disk
    at the start. The present run is counted by its last report, or by the hub's own counts if it
    has ended or the hub does (`final`). Of earlier runs, frames of unknown fate count as dropped,
    unless a node ended with them in its ring. Zero everywhere for an unknown camera.
    """
    total = Account()
    for (name, _), link in runs.items():
        if name == camera and link is present:
            total += _counted(link, returns=True) if final or link.gone else _reported(link)
        elif name == camera:
            total += _counted(link, returns=False)
    for run, found in before.items():
        if run[0] == camera and run not in runs:
            lost = Counter({"lost with an earlier run": found.last + 1 - found.frames})
            total += Account(exposed=found.last + 1, recorded=found.frames, reasons=lost)
    return total


def _reported(link: Link) -> Account:
    """From the node's last report, which is always consistent."""
    report = link.report
    return Account(
        exposed=report.exposed - link.exposed_before,
        recorded=report.fates[RECORDED],
        not_kept=report.fates[NOT_KEPT],
        in_ring=report.in_ring,
        reasons=_reasons(link, report.fates),
    ).explained("lost with a killed hub")


def _counted(link: Link, *, returns: bool) -> Account:
    """From the hub's own counts, for a node that has ended, or at the end of the hub."""
    exposed = max(link.report.exposed, link.received + 1) - link.exposed_before
    reasons = _reasons(link, link.fates)
    rest = max(exposed - link.fates[RECORDED] - link.fates[NOT_KEPT] - reasons.total(), 0)
    in_ring = min(rest, link.report.in_ring) if link.gone else rest if returns else 0
    return Account(
        exposed=exposed,
        recorded=link.fates[RECORDED],
        not_kept=link.fates[NOT_KEPT],
        in_ring=in_ring,
        reasons=reasons,
    ).explained("lost with a killed hub" if link.gone else "lost with its node")


def _reasons(link: Link, fates: Counter[str]) -> Counter[str]:
    refused = Counter({fate: n for fate, n in fates.items() if fate not in (RECORDED, NOT_KEPT)})
    return link.report.dropped - link.dropped_before + refused
