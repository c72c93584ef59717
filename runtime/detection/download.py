"""Downloads of networks: announced, resumed after an interruption, verified by their hash.

Only files asked for are downloaded, and a downloaded file must keep its hash.
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
_ATTEMPTS = 8  # a guess, not measured


def fetch(url: str, member: str | None, path: Path, what: str, licence: str) -> str:
    """Download a file, or the `member` of a zip archive, to `path`; returns its sha256.

    It blocks, and prints its progress to standard error. The hash is written to `path` plus
    `.sha256`; an interrupted download stays as `.part` and is resumed by the next call. Raises
    Refusal if it cannot be downloaded or stored, is larger than 1 GiB, or another process downloads
    it.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _lock(file, part)
            _download(url, file, part, what, licence, path)
        complete = _unpacked(part, member, url, path) if member else part
        with complete.open("rb") as done:
            digest = hashlib.file_digest(done, "sha256").hexdigest()
        _sha256_file(path).write_text(digest + "\n", encoding="ascii")
        complete.replace(path)
    except OSError as error:
        raise Refusal(
            f"{what} cannot be stored in {path.parent} ({error.strerror or error})"
        ) from error
    for leftover in (part, _validator(part)):
        leftover.unlink(missing_ok=True)
    Console(stderr=True).print(
        f"{what}: sha256 {digest}; the manifest has none, so this download is accepted, and "
        "every later start compares with it",
        highlight=False,
        soft_wrap=True,
    )
    return digest


def downloaded_sha256(path: Path) -> str | None:
    """The sha256 that a file had when it was downloaded, as noted beside it.

    The file itself is not read. None if there is no such note, as for a file copied by hand.
    """
    try:
        return _sha256_file(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _sha256_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _validator(part: Path) -> Path:
    """The file beside a partial download with the server's name of the version."""
    return part.with_name(part.name + ".version")


def _lock(file: IO[bytes], part: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refusal(f"another process is downloading {part}; wait for it to finish") from error


def _download(url: str, file: IO[bytes], part: Path, what: str, licence: str, path: Path) -> None:
    """Complete `file`, with new tries as long as bytes arrive; a Refusal names the cure."""
    console = Console(stderr=True)
    reason = ""
    for attempt in range(_ATTEMPTS):
        start = file.seek(0, 2)
        try:
            with _opened(url, start, part) as response:
                if response.status != http.client.PARTIAL_CONTENT:
                    file.truncate(0)
                    start = 0
                    _remember_version(response, part)
                total = _total(response, start)
                if attempt == 0:
                    _announce(console, url, what, licence, total, start)
                reason = _copied(response, file, start, total, what, console)
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
        if file.seek(0, 2) == start:
            break
    raise Refusal(
        f"{what} could not be downloaded from {url} ({reason}; {file.seek(0, 2)} bytes are kept): "
        f"try again when online, or copy the file to {path}"
    )


def _opened(url: str, start: int, part: Path) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "cvsf"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        with suppress(OSError):
            request.add_header("If-Range", _validator(part).read_text(encoding="ascii").strip())
    response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    assert isinstance(response, http.client.HTTPResponse)
    return response


def _remember_version(response: http.client.HTTPResponse, part: Path) -> None:
    version = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if version and not version.startswith("W/"):
        _validator(part).write_text(version, encoding="ascii")
    else:
        _validator(part).unlink(missing_ok=True)


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdecimal() else None
    if total is not None and total > _MAX_BYTES:
        raise Refusal(f"{response.url} is {total} bytes, expected at most {_MAX_BYTES}")
    return total


def _announce(
    console: Console, url: str, what: str, licence: str, total: int | None, start: int
) -> None:
    size = "of unknown size" if total is None else f"{total / 1e6:.1f} MB"
    resumed = f", {start / 1e6:.1f} MB of it here already" if start else ""
    console.print(
        f"fetching {what} ({size}{resumed}), licence {licence}, from {url}",
        highlight=False,
        soft_wrap=True,
    )


def _copied(
    response: http.client.HTTPResponse,
    file: IO[bytes],
    start: int,
    total: int | None,
    what: str,
    console: Console,
) -> str:
    """The reason why the copy is incomplete; empty if it is complete."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    have = start
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total, completed=start)
        try:
            while chunk := response.read(_CHUNK_BYTES):
                have += len(chunk)
                if have > _MAX_BYTES:
                    raise Refusal(f"{response.url} is larger than {_MAX_BYTES} bytes")
                file.write(chunk)
                progress.update(task, completed=have)
        except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
            return str(error) or type(error).__name__
        finally:
            file.flush()
    return "" if total is None or have == total else f"it broke off after {have} of {total} bytes"


def _unpacked(archive: Path, member: str, url: str, path: Path) -> Path:
    """One member, unpacked beside `path`; its folder in the archive is ignored."""
    target = path.with_name(path.name + ".unpacked")
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
