"""Virtual environments of programs that ours is compared with, one each: they bring another OpenCV,
so none is an extra of ours.

`python -m tests.support.peer_environments FOLDER [humancalib pose2sim aniposelib caliscope]`, at
the repository root, makes FOLDER/humancalib and so on with pip and prints the Python of each.
"""

import argparse
import subprocess
import sys
from pathlib import Path

PEERS = {
    "humancalib": "humancalib==0.5.4",
    "pose2sim": "pose2sim==0.10.49",
    "aniposelib": "aniposelib==0.8.0",
    "caliscope": "caliscope==0.11.8",
}
"""What pip installs: the versions that were measured."""


def python_of(folder: Path, peer: str) -> Path:
    """The Python of a peer's environment."""
    return folder / peer / "bin" / "python"


def make(folder: Path, peer: str) -> Path:
    """The Python of the peer's environment, which is made; CalledProcessError if it cannot be."""
    subprocess.run([sys.executable, "-m", "venv", folder / peer], check=True)
    python = python_of(folder, peer)
    subprocess.run([python, "-m", "pip", "install", "-q", PEERS[peer]], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("peers", nargs="*", default=list(PEERS), metavar="PEER")
    given = parser.parse_args()
    if unknown := [peer for peer in given.peers if peer not in PEERS]:
        parser.error(f"{unknown[0]} is no peer, expected some of {', '.join(PEERS)}")
    for peer in given.peers:
        sys.stdout.write(f"{make(given.folder.absolute(), peer)}\n")


if __name__ == "__main__":
    main()
