"""The tables of docs/protocol.md on the stats, made from `runtime/stats.py`.

`python -m tests.support.stats_document` writes them into the document, between the two comments.
"""

from runtime.stats import CameraStats, Part, Quality, Stats, WorldState
from tests.support.paths import ROOT

DOCUMENT = ROOT / "docs" / "protocol.md"
BEGIN = "<!-- python -m tests.support.stats_document writes from here -->\n"
END = "<!-- to here -->\n"


def table(part: type[Part]) -> str:
    """A row a key: its meaning, and the metric that shows it."""
    rows, metrics = ["| key | meaning | Prometheus |", "| --- | --- | --- |"], part.metrics()
    for name, info in part.model_fields.items():
        metric = metrics.get(name)
        total = "_total" if metric and metric.kind == "counter" else ""
        shown = f"`{metric.name}{total}`" if metric else ""
        rows.append(f"| `{info.alias or name}` | {info.description} | {shown} |")
    return "\n".join(rows) + "\n"


def text() -> str:
    """The generated part of the document."""
    return "\n".join(
        [
            table(Stats),
            "Of each camera, under `cameras`; every exposure is in exactly one of `recorded`,"
            " `not_kept`, `dropped` and `in_ring`:\n",
            table(CameraStats),
            "`world`, once cameras are sought; until they are found only `calibration`,"
            " `waiting_for`, `survey_left_out` and `moves`:\n",
            table(WorldState),
            "`quality`, of the last instants in which two views saw the whole person, one a second"
            " ([models.md](models.md)); lower is better, null before the first:\n",
            table(Quality),
        ]
    )


def between(document: str) -> tuple[str, str, str]:
    """The document before, in and after the generated part."""
    before, _, rest = document.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before, inside, after


def main() -> None:
    """Write the document anew."""
    before, _, after = between(DOCUMENT.read_text())
    DOCUMENT.write_text(before + BEGIN + text() + END + after)


if __name__ == "__main__":
    main()
