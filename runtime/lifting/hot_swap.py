"""The engine that serves, and the next one: noticed, loaded, proved and warmed beside the hub.

The main thread only ever takes what is ready, between two instants. Whatever fails, the engine that
serves goes on serving, and the hub says why.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cvsf.engine.engine import SHIPPED, Choice, Engine, Kind, check_golden, choose, open_tensorrt
from cvsf.engine.manifest import read_manifest
from cvsf.registry.registry import Registry
from cvsf.registry.verification import open_whole
from cvsf.system.errors import Refusal
from runtime.lifting.malloc import apart, give_back
from runtime.lifting.pose_assembly import JOINED_SET
from runtime.stats import EngineStats

log = logging.getLogger(__name__)

_LOOK_S = 0.5
_RETIRED = 4  # engines that may wait for a calm moment to be let go of
_FILES = ("manifest.json", "lifter.onnx", "lifter_fp16.onnx", "golden.npz")

Stamp = tuple[object, ...]
"""What the live link and its engine look like from outside: another stamp deserves another try."""


class Serving:
    """The lifter of the hub; `engine`, `take` and `views` belong to the main thread."""

    def __init__(
        self, models: Path, plans: Path, kind: Kind = "auto", threads: int = 1, views: int = 0
    ) -> None:
        self.registry = Registry(models)
        self.views = views  # of the present instants; 0 is not known yet
        self.swaps = 0
        self.trouble: str | None = None
        self.plan: str | None = None  # what is being done to a plan
        self.choice: Choice = choose(kind)
        self._plans, self._threads = plans, threads
        self._said: set[tuple[str, str]] = set()
        self._tried: Stamp = ()
        self._planned = ""  # the engine whose plan was last asked for
        self._ready: Engine | None = None
        self._lock = threading.Lock()
        self._retired: deque[Engine] = deque()
        self._stop, self._freed = threading.Event(), threading.Event()
        self._workers: list[threading.Thread] = []
        self.engine = self._first()
        self._wanted = self.engine.id
        log.info(
            "engine serves",
            extra={"engine": self.engine.id, "backend": self.backend, "reason": self.choice.reason},
        )

    @property
    def backend(self) -> str:
        """What runs the engine that serves."""
        return self.engine.backend

    def start(self) -> None:
        """Look out for promotions from now on."""
        self._work("engines", self._look)

    def take(self, *, calm: bool) -> Engine | None:
        """Serve with the next engine if it is ready; then the one that served until now.

        What nobody uses any more is let go of when the hub is `calm`: that takes milliseconds.
        """
        if calm or len(self._retired) > _RETIRED:
            with suppress(IndexError):
                self._retired.popleft().close()
                self._freed.set()
        if self._ready is None:
            return None
        with self._lock:
            fresh, self._ready = self._ready, None
            if fresh is None:
                return None  # taken back just now
            before, self.engine = self.engine, fresh
        self.swaps += 1
        log.info(
            "engine swapped",
            extra={"engine": fresh.id, "before": before.id, "backend": fresh.backend},
        )
        return before

    def retire(self, engine: Engine) -> None:
        """Have the main thread let go of an engine that nobody uses any more; from any thread."""
        self._retired.append(engine)

    def stats(self) -> EngineStats:
        """Of the engine that serves."""
        return EngineStats(
            engine=self.engine.id,
            engine_backend=self.backend,
            engine_swaps=self.swaps,
            engine_trouble=self.trouble,
            engine_plan=self.plan,
        )

    def close(self) -> None:
        """Look out no more; what is being loaded is waited for, a plan is given up."""
        self._stop.set()
        for worker in self._workers:
            worker.join()

    # on the main thread, before the first instant

    def _first(self) -> Engine:
        """The live engine, else the one before it, else the one inside the package."""
        self._tried = self._stamp()
        for name, find in (("live", self.registry.live), ("before", self._before)):
            try:
                folder = find()
                if folder is not None:
                    return self._opened(folder, folder_id(folder))
            except (Refusal, OSError) as error:
                self._tell(name, str(error))
        return self._opened(SHIPPED, folder_id(SHIPPED))

    def _opened(self, folder: Path, id: str) -> Engine:
        with apart():
            return open_whole(folder, id, JOINED_SET, self._threads)

    def _before(self) -> Path | None:
        id = self.registry.before()
        return self.registry.folder(id) if id else None

    # on threads of their own

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_S):
            if self._freed.is_set():
                self._freed.clear()
                give_back()
            stamp = self._stamp()
            if stamp != self._tried:
                self._tried = stamp
                self._try()
            if self.choice.backend == "tensorrt":
                self._plan_if_due()

    def _stamp(self) -> Stamp:
        """The live link and its files as they are now; reading that costs next to nothing."""
        link = self.registry.models / "live"
        try:
            folder = self.registry.live()
            seen = [(s.st_ino, s.st_size, s.st_mtime_ns) for s in (link.lstat(),)]
            for name in _FILES:
                with suppress(FileNotFoundError):
                    of = (folder / name).stat()
                    seen.append((of.st_ino, of.st_size, of.st_mtime_ns))
            return (str(folder), *seen)
        except (Refusal, OSError) as error:
            return (str(error),)

    def _try(self) -> None:
        """Make the live engine ready, or say why it cannot serve."""
        id = "live"
        try:
            folder, id = self.registry.live(), self.registry.live_id()
            if not self._serves(id):
                self._offer(self._opened(folder, id), folder)
        except (Refusal, OSError) as error:
            self._tell(id, str(error))
        except Exception as error:  # whatever a runtime raises, the next promotion is noticed
            self._tell(id, _in_one_line(error))

    def _serves(self, id: str) -> bool:
        """Whether the wanted engine serves already; what is ready instead of it is taken back."""
        with self._lock:
            self._wanted, ready = id, self._ready
            if ready and ready.id == id:
                return True  # it is on its way
            if id != self.engine.id:
                return False
            unused, self._ready = ready, None
        self.trouble = None
        if unused:
            self.retire(unused)
        return True

    def _offer(self, engine: Engine, folder: Path) -> None:
        """Hand the engine over once it has lifted so many views as there are now, unless another is
        wanted by then.
        """
        try:
            views, most = max(self.views, 1), engine.manifest.max_views
            if views > most:
                raise Refusal(
                    f"{folder} takes up to {most} views, expected {views}; compile it for more"
                )
            engine.warm(views)
        except BaseException:
            engine.close()
            raise
        with self._lock:
            is_wanted = engine.id == self._wanted
            unused = self._ready if is_wanted else engine
            if is_wanted:
                self._ready = engine
        if is_wanted:
            self.trouble = None
        else:
            self._planned = ""  # if it is wanted again, so is its plan
        if unused:
            self.retire(unused)

    def _plan_if_due(self) -> None:
        """Have the plan built of the engine that serves; one at a time."""
        id = self.engine.id
        if id not in (self._planned, "") and self.plan is None and self._wanted == id:
            self._planned, self.plan = id, "waiting"
            self._work("plan", lambda: self._build(id))

    def _build(self, id: str) -> None:
        try:
            folder = self.registry.folder(id)
            engine = open_tensorrt(folder, self._plans, self._tell_plan)
            try:
                check_golden(engine, folder)
            except BaseException:
                engine.close()
                raise
            self._offer(engine, folder)
        except _GivenUpError:
            pass
        except (Refusal, OSError) as error:
            self._tell(id, str(error))
        except Exception as error:  # as above
            self._tell(id, _in_one_line(error))
        finally:
            self.plan = None

    def _tell_plan(self, doing: str, share: float) -> None:
        if self._stop.is_set():
            raise _GivenUpError
        self.plan = f"{doing} {100 * share:.0f} %"

    def _tell(self, id: str, reason: str) -> None:
        """Say once why an engine does not serve."""
        self.trouble = reason
        if (id, reason) not in self._said:
            self._said.add((id, reason))
            log.error("engine refused", extra={"engine": id, "reason": reason})

    def _work(self, name: str, act: Callable[[], None]) -> None:
        worker = threading.Thread(target=act, name=name, daemon=True)
        self._workers = [one for one in self._workers if one.is_alive()] + [worker]
        worker.start()


class _GivenUpError(Exception):
    """The hub ends before the plan is built."""


def _in_one_line(error: Exception) -> str:
    """What a library raised, as a sentence's worth."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def folder_id(folder: Path) -> str:
    """The name an engine's folder should carry: its own, or for the shipped one its manifest's."""
    return read_manifest(folder).id if folder == SHIPPED else folder.name
