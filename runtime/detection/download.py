"""Downloads of networks: announced first, resumed where they broke off, known again by their hash.

Nothing is fetched that was not asked for, and a file fetched once must keep the hash it came with.
"""

import fcntl
import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from cvsf.system.errors import Refusal

_TIMEOUT_S = 20.0
_CHUNK_BYTES = 1 << 16
_MAX_BYTES = 1 << 30
"""No network this project can run live is larger; an archive or member beyond it is refused."""
_ATTEMPTS = 8


def fetch(url: str, member: str | None, place: Path, what: str, licence: str) -> str:
    """Sha256 of the file now at `place`: the download, or one member of the zip archive it is."""
    part = place.with_name(place.name + ".part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _lock(file, part)
            _download(url, file, part, what, licence, place)
        complete = _unpacked(part, member, url, place) if member else part
        with complete.open("rb") as done:
            digest = hashlib.file_digest(done, "sha256").hexdigest()
        _memory(place).write_text(digest + "\n", encoding="ascii")
        complete.replace(place)
    except OSError as error:
        raise Refusal(
            f"{what} cannot be stored in {place.parent} ({error.strerror or error})"
        ) from error
    for leftover in (part, _validator(part)):
        leftover.unlink(missing_ok=True)
    Console(stderr=True).print(
        f"{what}: sha256 {digest}; none is pinned, so this first download is accepted and every "
        "later start is held to it",
        highlight=False,
        soft_wrap=True,
    )
    return digest


def first_seen_sha256(place: Path) -> str | None:
    """The hash a fetched file had when it came; None for a file placed by hand."""
    try:
        return _memory(place).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _memory(place: Path) -> Path:
    return place.with_name(place.name + ".sha256")


def _validator(part: Path) -> Path:
    """Beside a partial download: what the server called the version it is a part of."""
    return part.with_name(part.name + ".version")


def _lock(file: IO[bytes], part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refusal(f"another process is downloading {part}; wait for it to finish") from error


def _download(url: str, file: IO[bytes], part: Path, what: str, licence: str, place: Path) -> None:
    """Complete `file`, trying again as long as bytes keep coming; a Refusal names what to do."""
    console = Console(stderr=True)
    reason = ""
    for attempt in range(_ATTEMPTS):
        before = file.seek(0, 2)
        try:
            with _opened(url, before, part) as answer:
                if answer.status != http.client.PARTIAL_CONTENT:
                    file.truncate(0)
                    before = 0
                    _remember_version(answer, part)
                total = _total(answer, before)
                if attempt == 0:
                    _announce(console, url, what, licence, total, before)
                reason = _copied(answer, file, before, total, what, console)
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                reason = f"the server answers {error.code} {error.reason}"
                break
            file.truncate(0)
            reason = "the server holds another file than before"
            continue
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = str(getattr(error, "reason", error))
        if not reason:
            return
        if file.seek(0, 2) == before:
            break
    raise Refusal(
        f"{what} could not be downloaded from {url} ({reason}; {file.seek(0, 2)} bytes are kept): "
        f"try again when online, or place the file at {place}"
    )


def _opened(url: str, start: int, part: Path) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "cvsf"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        with suppress(OSError):
            request.add_header("If-Range", _validator(part).read_text(encoding="ascii").strip())
    answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    assert isinstance(answer, http.client.HTTPResponse)
    return answer


def _remember_version(answer: http.client.HTTPResponse, part: Path) -> None:
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if version and not version.startswith("W/"):
        _validator(part).write_text(version, encoding="ascii")
    else:
        _validator(part).unlink(missing_ok=True)


def _total(answer: http.client.HTTPResponse, before: int) -> int | None:
    length = answer.headers.get("Content-Length")
    total = before + int(length) if length and length.isdecimal() else None
    if total is not None and total > _MAX_BYTES:
        raise Refusal(f"{answer.url} is {total} bytes, expected at most {_MAX_BYTES}")
    return total


def _announce(
    console: Console, url: str, what: str, licence: str, total: int | None, before: int
) -> None:
    size = "of unknown size" if total is None else f"{total / 1e6:.1f} MB"
    resumed = f", {before / 1e6:.1f} MB of it here already" if before else ""
    console.print(
        f"fetching {what} ({size}{resumed}), licence {licence}, from {url}",
        highlight=False,
        soft_wrap=True,
    )


def _copied(
    answer: http.client.HTTPResponse,
    file: IO[bytes],
    before: int,
    total: int | None,
    what: str,
    console: Console,
) -> str:
    """What stopped the copy short; empty when it is complete."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    have = before
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total, completed=before)
        try:
            while chunk := answer.read(_CHUNK_BYTES):
                have += len(chunk)
                if have > _MAX_BYTES:
                    raise Refusal(f"{answer.url} goes on beyond {_MAX_BYTES} bytes")
                file.write(chunk)
                progress.update(task, completed=have)
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            return str(error) or type(error).__name__
        finally:
            file.flush()
    return "" if total is None or have == total else f"it broke off after {have} of {total} bytes"


def _unpacked(archive: Path, member: str, url: str, place: Path) -> Path:
    """The one wanted member, unpacked beside its place; its path inside the archive is not used."""
    target = place.with_name(place.name + ".unpacked")
    try:
        with zipfile.ZipFile(archive) as opened:
            found = [m for m in opened.infolist() if PurePosixPath(m.filename).name == member]
            if len(found) != 1:
                raise Refusal(f"{url} holds {len(found)} files named {member}, expected one")
            if found[0].file_size > _MAX_BYTES:
                raise Refusal(
                    f"{member} in {url} is {found[0].file_size} bytes, "
                    f"expected at most {_MAX_BYTES}"
                )
            with opened.open(found[0]) as packed, target.open("wb") as file:
                shutil.copyfileobj(packed, file, _CHUNK_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        archive.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        raise Refusal(f"{url} is not a readable zip archive ({error}); it was removed") from error
    return target
