"""`cvsf watch`: what the hub is doing, as one live table or JSON lines."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from cvsf.client import stats as follow_stats
from cvsf.system.errors import Refusal
from cvsf.system.processes import SKELETONS_PORT
from runtime.telemetry.table import stats_table

_PATIENCE_S = 5.0  # a hub speaks every second


def watch(
    hub: Annotated[str, typer.Option(help="Host of the hub.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of its live output.")] = SKELETONS_PORT,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a second.")] = False,
    seconds: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
) -> None:
    """Watch a running hub: a live table or JSON lines."""
    try:
        _follow(hub, port, as_json, seconds)
    except TimeoutError as error:
        raise Refusal(
            f"No hub speaks at {hub}:{port} (nothing heard for {_patience_s(seconds):.0f} s); "
            "start one with cvsf-capture."
        ) from error
    except KeyboardInterrupt:
        pass  # how a table is left


def _follow(hub: str, port: int, as_json: bool, seconds: float | None) -> None:
    lines = follow_stats(hub, port, timeout_s=_patience_s(seconds))
    first = next(lines)
    if as_json:
        typer.echo(json.dumps(first))
        for stats in lines:
            typer.echo(json.dumps(stats))
            if _is_over(first, stats, seconds):
                return
        return
    with Live(stats_table(first), console=Console(stderr=False), auto_refresh=False) as live:
        for stats in lines:
            live.update(stats_table(stats), refresh=True)
            if _is_over(first, stats, seconds):
                return


def _patience_s(seconds: float | None) -> float:
    return _PATIENCE_S if seconds is None else min(_PATIENCE_S, max(seconds, 1.0))


def _is_over(first: Mapping[str, Any], stats: Mapping[str, Any], seconds: float | None) -> bool:
    passed = float(stats.get("t_s", 0.0)) - float(first.get("t_s", 0.0))
    return bool(stats.get("final")) or (seconds is not None and passed >= seconds)
