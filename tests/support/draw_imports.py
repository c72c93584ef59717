"""The import graph by folder as a picture: `python -m tests.support.draw_imports docs/imports.png`.

A box is a folder, plain text a file beside the folders; an arrow goes from what imports to what is
imported, its number says how many (without one: one). Needs grimp, of the extra dev, and Graphviz.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import grimp

PACKAGES = ("capture", "runtime", "train", "cvsf")
_COLOURS = {"capture": "#e8f1fb", "runtime": "#eaf6ec", "train": "#fdf1e0", "cvsf": "#f1eef8"}
_STYLE = 'fontname="DejaVu Sans" fontsize=11'


def place(module: str) -> str:
    """The folder or file, directly below a package, that a module stands in."""
    return ".".join(module.split(".")[:2])


def imports_of(graph: grimp.ImportGraph) -> Counter[tuple[str, str]]:
    """How often one place imports from another; of cvsf as a whole by the other packages."""
    found: Counter[tuple[str, str]] = Counter()
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            package, its = module.split(".")[0], other.split(".")[0]
            pair = (package, its) if package != its else (place(module), place(other))
            if pair[0] != pair[1]:
                found[pair] += 1
    return found


def dot(graph: grimp.ImportGraph) -> str:
    """The picture in Graphviz's language."""
    found = imports_of(graph)
    lines = [
        "digraph imports {",
        f"compound=true newrank=true rankdir=TB nodesep=0.25 ranksep=0.45 {_STYLE}",
        f'node [{_STYLE} margin=0.08 height=0.3] edge [color="#5a6b7b" arrowsize=0.6 {_STYLE}]',
    ]
    for package in PACKAGES:
        shared = found.pop((package, "cvsf"), 0)
        title = f"{package}: {shared} imports of cvsf" if shared else package
        lines.append(f'subgraph "cluster_{package}" {{ label="{title}" style=filled')
        lines.append(f'color="{_COLOURS[package]}" fontsize=15')
        for name in sorted(graph.find_children(package)):
            below = len(graph.find_descendants(name))
            label = name.split(".")[1]
            shape = "shape=box style=filled fillcolor=white" if below else "shape=plaintext"
            lines.append(f'"{name}" [{shape} label="{label}{f" ({below})" if below else ""}"]')
        lines.append("}")
        if shared:
            ends = f'ltail="cluster_{package}" lhead="cluster_cvsf" penwidth=3 minlen=4'
            lines.append(f'"{package}.config" -> "cvsf.cli" [{ends}]')
    for (a, b), count in sorted(found.items()):
        lines.append(f'"{a}" -> "{b}" [label="{count if count > 1 else ""}"]')
    return "\n".join([*lines, "}"])


if __name__ == "__main__":
    path = Path(sys.argv[1])
    words = ["dot", f"-T{path.suffix[1:]}", "-Gdpi=80", "-o", str(path)]
    subprocess.run(words, input=dot(grimp.build_graph(*PACKAGES)), text=True, check=True)
