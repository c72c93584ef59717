"""`cvsf models` and `cvsf promote`: the engines of an installation, and which of them is live.

A running hub detects a promotion by itself; nothing here connects to it.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from cvsf.engine.manifest import MANIFEST
from cvsf.registry.history import Promotion
from cvsf.registry.registry import Entry, Registry
from cvsf.system.errors import Refusal
from cvsf.system.settings import data_folder

_WIDTH = 80  # of a terminal that every column must fit into
_BY_HAND = "by hand"
_SHOWN = 8  # promotions at the end of the list
_SHA = 12

Why = Annotated[str, typer.Option(help="For the history.")]
Data = Annotated[Path | None, typer.Option(help="Data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def models(
    act: Annotated[
        str | None, typer.Argument(help="show, promote, add (then ENGINE) or rollback; else list.")
    ] = None,
    engine: Annotated[
        str | None, typer.Argument(help="An engine's name, or a folder of `cvsf compile`.")
    ] = None,
    why: Why = _BY_HAND,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the engines of this installation, show one, add one, or choose which is live."""
    registry = Registry(data_folder(data) / "models")
    if act is None:
        _list(registry, as_json)
        return
    if act == "rollback":
        if engine is not None:
            raise Refusal(
                f"cvsf models rollback goes back to the previous engine; for {engine} use: "
                f"cvsf models promote {engine}"
            )
        registry.roll_back(why)
        _print_live(registry, as_json)
        return
    acts: dict[str, Callable[[str], None]] = {
        "show": lambda name: _show(registry, name, as_json),
        "add": lambda name: _add(registry, name, as_json),
        "promote": lambda name: _promote(registry, name, why, as_json),
    }
    if act not in acts:
        raise Refusal(f"cvsf models {act}: expected show, promote, add or rollback")
    if engine is None:
        raise Refusal(f"cvsf models {act} needs an engine; cvsf models lists them")
    acts[act](engine)


def promote(
    engine: Annotated[str, typer.Argument(help="An engine's name, or a folder to take in first.")],
    why: Why = _BY_HAND,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make an engine live; a running hub takes it between two instants."""
    _promote(Registry(data_folder(data) / "models"), engine, why, as_json)


def _promote(registry: Registry, name: str, why: str, as_json: bool) -> None:
    if (Path(name) / MANIFEST).is_file():
        name = registry.add(Path(name)).name
    registry.promote(name, why)
    _print_live(registry, as_json)


def _print_live(registry: Registry, as_json: bool) -> None:
    found = {"live": registry.live_id(), "before": registry.previous()}
    typer.echo(json.dumps(found) if as_json else f"live is {found['live']}")


def _add(registry: Registry, name: str, as_json: bool) -> None:
    folder = registry.add(Path(name))
    added = {"engine": folder.name, "folder": str(folder)}
    typer.echo(json.dumps(added) if as_json else f"{folder.name} is in {folder}, not live yet")


def _list(registry: Registry, as_json: bool) -> None:
    entries, history = registry.engines(), registry.history()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "engines": [facts(entry) for entry in entries],
                    "live": registry.live_id(),
                    "before": registry.previous(),
                    "history": [asdict(one) for one in history],
                }
            )
        )
        return
    parts: list[RenderableType] = [_table(entries)]
    if history:
        parts += [Text(), _history(history[-_SHOWN:])]
    _console().print(Group(*parts))


def _show(registry: Registry, name: str, as_json: bool) -> None:
    folder = registry.folder(name)  # refuses what is not there
    entry = next((one for one in registry.engines() if one.id == name), None)
    if entry is None:
        raise Refusal(f"{folder} holds no engine, expected a folder as `cvsf compile` writes it")
    mine = [one for one in registry.history() if name in (one.engine, one.before)]
    if as_json:
        card = entry.manifest.model_dump(mode="json") if entry.manifest else None
        more = {"manifest": card, "history": [asdict(one) for one in mine]}
        typer.echo(json.dumps(facts(entry) | more))
        return
    parts: list[RenderableType] = [_card(entry)]
    if mine:
        parts += [Text(), _history(mine)]
    _console().print(Group(*parts))


def facts(entry: Entry) -> dict[str, Any]:
    """What `cvsf models --json` prints of one engine, as a map.

    `trouble` is why it cannot be used, else None. Without a readable manifest, `scores` is empty
    and what the manifest would tell is None.
    """
    card = entry.manifest
    return {
        "id": entry.id,
        "created": card.created if card else None,
        "variant": card.variant if card else None,
        "parent": card.parent if card else None,
        "joint_set": card.joint_set if card else None,
        "scores": card.scores if card else {},
        "sha256": card.sha256 if card else None,
        "live": entry.is_live,
        "trouble": entry.trouble,
        "folder": str(entry.folder),
    }


def _table(entries: list[Entry]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("engine", ratio=1)
    table.add_column("created (UTC)", no_wrap=True)
    for column in ("1 view mm", "fused mm"):
        table.add_column(column, justify="right", no_wrap=True)
    for entry in entries:
        card = entry.manifest
        table.add_row(
            Text("●", "bold green") if entry.is_live else "",
            _named(entry),
            card.created[:16].replace("T", " ") if card else "-",
            _score(entry, "one_view"),
            _score(entry, "fused"),
        )
    return table


def _named(entry: Entry) -> Text:
    text = Text(entry.id, "bold" if entry.is_live else "", overflow="fold")
    if entry.trouble:
        text.append(f"\n{entry.trouble}", "red")
    elif entry.manifest:
        text.append(f"\nsha256 {entry.manifest.sha256[:_SHA]}", "dim")
        if entry.manifest.parent:
            text.append(f"\nfrom {entry.manifest.parent}", "dim")
    return text


def _score(entry: Entry, split: str) -> str:
    value = entry.manifest.scores.get(split, {}).get("n_mpjpe_mm") if entry.manifest else None
    return "-" if value is None else f"{value:.1f}"


def _history(history: list[Promotion]) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
    table.add_column("went live (UTC)", no_wrap=True)
    table.add_column("engine", no_wrap=True)
    table.add_column("why", ratio=1)
    for one in history:
        why = Text("rolled back: ", "yellow") if one.rolled_back else Text()
        table.add_row(one.at[:16].replace("T", " "), one.engine, why.append(one.why))
    return table


def _card(entry: Entry) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows: dict[str, object] = {"engine": entry.id, "folder": entry.folder}
    if card := entry.manifest:
        rows |= {
            "created": card.created,
            "variant": card.variant,
            "parent": card.parent or "-",
            "joints": card.joint_set,
            "sha256": card.sha256,
            "learned from": f"{len(card.sessions)} sessions",
            "credit": card.credit or "-",
        }
        for split, scores in card.scores.items():
            figures = ", ".join(f"{name} {value:.3g}" for name, value in scores.items())
            rows[split.replace("_", " ")] = figures
    rows["live"] = "yes" if entry.is_live else "no"
    if entry.trouble:
        rows["trouble"] = Text(entry.trouble, "red")
    for name, value in rows.items():
        table.add_row(name, value if isinstance(value, Text) else str(value))
    return table


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDTH, highlight=False)
