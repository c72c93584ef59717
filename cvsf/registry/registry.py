"""The engines of an installation: one folder each, and a link to the live one.

`models/live` is a relative link that is replaced atomically: a reader always finds a complete
engine, the old or the new one, even if the writer is killed.
"""

import fcntl
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cvsf.engine.engine import SHIPPED
from cvsf.engine.manifest import FILES, GOLDEN, LIFTER, MANIFEST, Manifest, read_manifest
from cvsf.registry.history import (
    Promotion,
    append,
    lineage,
    read_history,
    read_intent,
    rolled_back_from,
)
from cvsf.registry.verification import file_stamps, is_id, open_verified, read_verified, require_id
from cvsf.system.disk import Storage, replace_file
from cvsf.system.errors import Refusal

log = logging.getLogger(__name__)

LIVE = "live"
_LOCK, _FRESH, _INTENT = ".lock", ".live.new", ".promoting.json"
_INCOMING, _REMOVED = ".incoming-", ".removed-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One engine of the registry."""

    id: str
    folder: Path
    manifest: Manifest | None  # None where it cannot be read
    is_live: bool
    trouble: str | None  # why it cannot be used; golden vectors are not checked


class Registry:
    """The folder `models`; any process may read it, one at a time writes."""

    def __init__(self, models: Path) -> None:
        self.models = models
        self._storage = Storage()

    def live(self) -> Path:
        """Folder of the live engine, or the shipped one; need not exist. Refusal of a bad link."""
        name = self._linked()
        return self.models / name if name else SHIPPED

    def live_id(self) -> str:
        """Name of the live engine, or the shipped one if none is. Refusal of a bad link."""
        return self._linked() or shipped_id()

    def fingerprint(self) -> tuple[object, ...]:
        """A value that changes with the live link or a file of its engine; never raises."""
        try:
            folder = self.live()
            files = (folder / name for name in (MANIFEST, *FILES.values(), GOLDEN))
            link = (self.models / LIVE).lstat()
            return str(folder), link.st_ino, link.st_mtime_ns, *file_stamps(*files)
        except (Refusal, OSError) as error:
            return (str(error),)

    def folder(self, id: str) -> Path:
        """Folder of the engine of that name, not verified; if there is none, Refusal lists all."""
        require_id(id)
        if (self.models / id).is_dir():
            return self.models / id
        if id == shipped_id():
            return SHIPPED
        names = ", ".join(entry.id for entry in self.engines())
        raise Refusal(f"{self.models} has no engine {id!r}, expected one of {names}")

    def engines(self) -> list[Entry]:
        """All, newest first, and the shipped one; unreadable last. Refusal of a bad live link."""
        live = self.live_id()
        folders = {path.name: path for path in self._folders()}
        folders.setdefault(shipped_id(), SHIPPED)
        entries = [_entry(id, folder, live) for id, folder in folders.items()]
        return sorted(
            entries, key=lambda one: (one.manifest.created if one.manifest else "", one.id)
        )[::-1]

    def history(self) -> list[Promotion]:
        """All promotions, oldest first, without damaged lines; empty if there is no file."""
        return read_history(self.models)

    def rolled_back_from(self) -> set[str]:
        """Engines ever rolled back from, which must not be promoted automatically again."""
        return rolled_back_from(self.history())

    def previous(self) -> str | None:
        """Name of the engine for a rollback, None if no usable one. Refusal of a bad live link."""
        excluded = self.rolled_back_from()
        earlier = lineage(self.history(), self.live_id(), shipped_id())[:-1]
        candidates = (id for id in reversed(earlier) if id not in excluded)
        return next((id for id in candidates if self._is_usable(id)), None)

    def add(self, folder: Path) -> Path:
        """Copy the engine into the registry, not live; returns its folder there, also if it was
        there. Refusal if it is damaged, its name is another engine's, or nothing can be written.
        """
        with self._writing():
            return self._add(folder)

    def promote(self, id: str, why: str, instead_of: str | None = None) -> None:
        """Verify and run the engine, and make it live; no change if it is live. Refusal if it is
        missing or unusable, or if neither `instead_of` (unless None) nor the engine itself is live.
        """
        with self._writing():
            self._expect(instead_of, id)
            self._promote(id, why, rolled_back=False)

    def roll_back(self, why: str, instead_of: str | None = None) -> str:
        """Make the previous engine live again, verified; returns its name. Refusal if there is none
        that can be used, or if `instead_of` is not None and not live. Blocks for the writers' lock.
        """
        with self._writing():
            self._expect(instead_of)
            id = self.previous()
            if id is None:
                raise Refusal(
                    f"{self.models} holds no usable engine from before {self.live_id()}; "
                    "promote one by its name"
                )
            self._promote(id, why, rolled_back=True)
            return id

    def rotate(self, keep: int) -> list[str]:
        """Remove all but the live, the previous and the `keep` newest engines; returns the removed
        names. Unreadable ones stay. Refusal of a bad live link, or if nothing can be written.
        """
        with self._writing():
            removable = [one for one in self.engines() if one.manifest and one.folder != SHIPPED]
            kept = {self.live_id(), self.previous(), *(one.id for one in removable[:keep])}
            gone = [one for one in removable if one.id not in kept]
            for one in gone:
                self._remove(one.folder)
            return [one.id for one in gone]

    def _is_usable(self, id: str) -> bool:
        folder = self.models / id
        if id == shipped_id() and not folder.is_dir():
            folder = SHIPPED
        return _entry(id, folder, "").trouble is None

    def _expect(self, *live: str | None) -> None:
        """Refusal if another engine was promoted meanwhile."""
        if live[0] is not None and self.live_id() not in live:
            raise Refusal(
                f"{self.live_id()} was made live meanwhile, expected {live[0]}; "
                "promote by name the one that should be live"
            )

    def _linked(self) -> str | None:
        try:
            name = (self.models / LIVE).readlink()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refusal(
                f"{self.models / LIVE} is not a link ({error.strerror}), expected one to an engine "
                "beside it; remove it and promote an engine"
            ) from None
        if not is_id(str(name)):
            raise Refusal(
                f"{self.models / LIVE} points at {str(name)!r}, expected the name of an engine "
                "beside it; promote one by its name"
            )
        return str(name)

    def _folders(self) -> list[Path]:
        if not self.models.is_dir():
            return []
        return [
            path
            for path in self.models.iterdir()
            if is_id(path.name)
            and not path.is_symlink()
            and any((path / name).is_file() for name in (MANIFEST, LIFTER))
        ]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the lock against other writers."""
        try:
            self.models.mkdir(parents=True, exist_ok=True)
            with (self.models / _LOCK).open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                for prefix in (_INCOMING, _REMOVED):  # left by a killed writer
                    for left in self.models.glob(f"{prefix}*"):
                        shutil.rmtree(left)
                self._finish()
                yield
        except OSError as error:
            raise Refusal(
                f"Engines cannot be kept in {self.models} ({error.strerror or error}): make it "
                "writable and make room, or choose another folder with --data."
            ) from error

    def _add(self, folder: Path) -> Path:
        manifest = read_verified(folder)
        target = self.models / require_id(manifest.id)
        if target.is_dir():
            if read_verified(target).sha256 != manifest.sha256:
                raise Refusal(
                    f"{target} is another engine of the same name; expected a unique name; "
                    "compile it again"
                )
            return target
        draft = self.models / f"{_INCOMING}{manifest.id}"
        draft.mkdir()
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                shutil.copyfile(path, draft / path.name)
                with (draft / path.name).open("rb") as copy:
                    self._storage.sync(copy.fileno())
        read_verified(draft)
        self._storage.sync_folder(draft)
        self._storage.rename(draft, target)
        self._storage.sync_folder(self.models)
        log.info("engine added", extra={"engine": manifest.id})
        return target

    def _promote(self, id: str, why: str, *, rolled_back: bool) -> None:
        open_verified(self.folder(id), id, read_manifest(SHIPPED).joint_set).close()
        history, is_broken = self.history(), False
        try:
            before = self.live_id()
        except Refusal:  # the link is broken, so the shipped engine was used
            before, is_broken = shipped_id(), True
        last = history[-1].engine if history else shipped_id()
        if last != before:  # a writer was killed before it wrote the line
            reason = why if id == before else "found live"
            missing = self._promotion(before, last, reason, rolled_back=False)
            append(self._storage, self.models, missing)
        if id == before and not is_broken:
            return
        for shipped in {id, before} & {shipped_id()}:  # so that a rollback to it is possible
            if not (self.models / shipped).is_dir():
                self._add(SHIPPED)
        intent = self._promotion(id, before, why, rolled_back=rolled_back)
        replace_file(self._storage, self.models / _INTENT, json.dumps(asdict(intent)).encode())
        fresh = self.models / _FRESH
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(id)
        self._storage.rename(fresh, self.models / LIVE)
        self._storage.sync_folder(self.models)
        self._finish()
        event = "engine rolled back" if rolled_back else "engine promoted"
        log.info(event, extra={"engine": id, "before": before, "why": why})

    def _finish(self) -> None:
        """Write the history line of a promotion whose writer was killed after it set the link."""
        intent = read_intent(self.models / _INTENT)
        if intent is not None:
            history = self.history()
            if intent.engine == self._linked() and intent not in history[-1:]:
                append(self._storage, self.models, intent)
        (self.models / _INTENT).unlink(missing_ok=True)

    def _promotion(self, id: str, before: str, why: str, *, rolled_back: bool) -> Promotion:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Promotion(at=now, engine=id, before=before, why=why, rolled_back=rolled_back)

    def _remove(self, folder: Path) -> None:
        """Remove the engine; its folder is first renamed to a name that is not read."""
        gone = folder.with_name(f"{_REMOVED}{folder.name}")
        self._storage.rename(folder, gone)
        shutil.rmtree(gone)
        self._storage.sync_folder(self.models)
        log.info("engine removed", extra={"engine": folder.name})


def shipped_id() -> str:
    """The name of the engine that the package brings along."""
    return read_manifest(SHIPPED).id


def _entry(id: str, folder: Path, live: str) -> Entry:
    manifest, trouble = None, None
    try:
        manifest = read_manifest(folder)
        read_verified(folder)
        if manifest.id != id:
            trouble = f"the folder is {id}, its manifest has the id {manifest.id}"
    except (Refusal, OSError) as error:
        trouble = str(error)
    return Entry(id=id, folder=folder, manifest=manifest, is_live=id == live, trouble=trouble)
