"""`cvsf watch`: the live table of a running hub, or its JSON lines."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import chain
from typing import Annotated, Any

import typer

from cvsf.client import stats as follow_stats
from cvsf.system.errors import Refusal
from cvsf.system.processes import SKELETONS_PORT, WEB_PORT
from runtime.stats import Stats
from runtime.telemetry.table import LiveTable

_PATIENCE_S = 5.0
"""Stats are due every second; a guess, not measured."""


def watch(
    hub: Annotated[str, typer.Option(help="Host of the hub.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of its live output.")] = SKELETONS_PORT,
    page_port: Annotated[int, typer.Option(help="Port of its page.")] = WEB_PORT,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a second.")] = False,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
) -> None:
    """Watch a running hub: a live table or JSON lines."""
    try:
        _follow(hub, port, None if as_json else f"http://{hub}:{page_port}/", seconds)
    except TimeoutError as error:
        raise Refusal(
            f"No hub answers at {hub}:{port} (no stats for {_patience_s(seconds):.0f} s); "
            "start one with cvsf-capture."
        ) from error
    except KeyboardInterrupt:
        pass  # the usual end of a table


def _follow(hub: str, port: int, page: str | None, seconds: float | None) -> None:
    """Print the statistics: a live table below the address of the page, or JSON lines without."""
    lines = follow_stats(hub, port, timeout_s=_patience_s(seconds))
    first = next(lines)
    if page:
        typer.echo(f"The page of this hub: {page}")
    with LiveTable(stays=True) if page else nullcontext() as table:
        for stats in chain([first], lines):
            if table is None:
                typer.echo(json.dumps(stats))
            else:
                table.show(Stats.model_validate(stats))
            if _is_over(first, stats, seconds):
                return


def _patience_s(seconds: float | None) -> float:
    return _PATIENCE_S if seconds is None else min(_PATIENCE_S, max(seconds, 3.0))


def _is_over(first: Mapping[str, Any], stats: Mapping[str, Any], seconds: float | None) -> bool:
    passed = float(stats.get("t_s", 0.0)) - float(first.get("t_s", 0.0))
    return bool(stats.get("final")) or (seconds is not None and passed >= seconds)
