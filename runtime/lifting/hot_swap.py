"""Hot swap: the next engine is loaded, verified and warmed up on another thread.

The main thread takes a ready engine between two instants. If a step fails, the present engine
stays, and the hub reports the reason.
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
from cvsf.registry.verification import open_verified
from cvsf.system.errors import Refusal
from runtime.lifting.malloc import separate_pages, trim
from runtime.lifting.pose_assembly import JOINED_SET
from runtime.stats import EngineStats

log = logging.getLogger(__name__)

_LOOK_S = 0.5
"""Between two reads of the registry; a guess, not measured."""
_RETIRED = 4
"""Most unused engines that are not closed yet; a guess, not measured."""


class HotSwap:
    """The hub's engine; `engine`, `take` and `views` are used by the main thread only.

    The constructor opens the live engine, else the previous, else the shipped one, and reports each
    that it refuses; Refusal only if none can be used.
    """

    def __init__(
        self, models: Path, plans: Path, kind: Kind = "auto", threads: int = 1, views: int = 0
    ) -> None:
        self.registry = Registry(models)
        self.views = views  # of the present instants; 0 is not known yet
        self.swaps = 0
        self.trouble: str | None = None
        self.plan: str | None = None  # progress of the plan that is being built
        self.choice: Choice = choose(kind)
        self._plans, self._threads = plans, threads
        self._reported: set[tuple[str, str]] = set()
        self._tried: tuple[object, ...] = ()  # fingerprint of the last try
        self._planned = ""  # the engine whose plan was last requested
        self._ready: Engine | None = None
        self._lock = threading.Lock()
        self._retired: deque[Engine] = deque()
        self._stop, self._freed = threading.Event(), threading.Event()
        self._workers: list[threading.Thread] = []
        self.engine = self._first()
        self._wanted = self.engine.id
        log.info(
            "engine in use",
            extra={"engine": self.engine.id, "backend": self.backend, "reason": self.choice.reason},
        )

    @property
    def backend(self) -> str:
        """What runs the engine in use, as text such as `onnxruntime cpu` or `tensorrt ... fp16`."""
        return self.engine.backend

    def start(self) -> None:
        """Start the thread that watches the registry, every 0.5 s, for another live engine.

        It loads, verifies and warms it up, and has TensorRT plans built if that backend is chosen.
        An engine that fails is reported in `trouble` and logged; nothing is raised.
        """
        self._start_thread("engines", self._watch)

    def take(self, *, calm: bool) -> Engine | None:
        """Swap to the next engine if it is ready, and return the one that was in use; else None.

        Call it on the main thread, between two instants; the caller has the returned engine retired
        (`retire`). While the hub is `calm`, or if too many wait, one unused engine is closed too,
        which takes milliseconds.
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
                return None  # withdrawn just now
            previous, self.engine = self.engine, fresh
        self.swaps += 1
        log.info(
            "engine swapped",
            extra={"engine": fresh.id, "before": previous.id, "backend": fresh.backend},
        )
        return previous

    def retire(self, engine: Engine) -> None:
        """Have an unused engine closed by a later call of `take`; may be called on any thread."""
        self._retired.append(engine)

    def stats(self) -> EngineStats:
        """The statistics of the engine in use: id, backend, number of hot swaps.

        `engine_trouble` is why the engine that should be live is refused, else None; `engine_plan`
        the progress of a plan that is being built, else None.
        """
        return EngineStats(
            engine=self.engine.id,
            engine_backend=self.backend,
            engine_swaps=self.swaps,
            engine_trouble=self.trouble,
            engine_plan=self.plan,
        )

    def close(self) -> None:
        """End the threads; blocks until then, for an engine that is being loaded too.

        The building of a plan is cancelled. The engine in use stays open.
        """
        self._stop.set()
        for worker in self._workers:
            worker.join()

    # on the main thread, before the first instant

    def _first(self) -> Engine:
        """The live engine, else the previous one, else the shipped one."""
        self._tried = self.registry.fingerprint()
        for name, find in (("live", self.registry.live), ("before", self._previous)):
            try:
                folder = find()
                if folder is not None:
                    return self._opened(folder, folder_id(folder))
            except (Refusal, OSError) as error:
                self._report(name, str(error))
        return self._opened(SHIPPED, folder_id(SHIPPED))

    def _opened(self, folder: Path, id: str) -> Engine:
        with separate_pages():
            return open_verified(folder, id, JOINED_SET, self._threads)

    def _previous(self) -> Path | None:
        id = self.registry.previous()
        return self.registry.folder(id) if id else None

    # on threads of their own

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_S):
            if self._freed.is_set():
                self._freed.clear()
                trim()
            fingerprint = self.registry.fingerprint()
            if fingerprint != self._tried:
                self._tried = fingerprint
                self._load_live()
            if self.choice.backend == "tensorrt":
                self._plan_if_due()

    def _load_live(self) -> None:
        """Make the live engine ready, or report why it is refused."""
        id = "live"
        try:
            folder, id = self.registry.live(), self.registry.live_id()
            if not self._is_in_use(id):
                self._offer(self._opened(folder, id), folder)
        except (Refusal, OSError) as error:
            self._report(id, str(error))
        except Exception as error:  # whatever a runtime raises, the next promotion is handled
            self._report(id, _in_one_line(error))

    def _is_in_use(self, id: str) -> bool:
        """Whether the wanted engine is in use or ready; another one that is ready is withdrawn."""
        with self._lock:
            self._wanted, ready = id, self._ready
            if ready and ready.id == id:
                return True  # the main thread takes it next
            if id != self.engine.id:
                return False
            unused, self._ready = ready, None
        self.trouble = None
        if unused:
            self.retire(unused)
        return True

    def _offer(self, engine: Engine, folder: Path) -> None:
        """Warm up the engine with the present number of views and make it ready, unless another one
        is wanted by then.
        """
        try:
            views, max_views = max(self.views, 1), engine.manifest.max_views
            if views > max_views:
                raise Refusal(
                    f"{folder} takes up to {max_views} views, expected {views}; compile it for more"
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
            self._planned = ""  # build its plan again if it is wanted again
        if unused:
            self.retire(unused)

    def _plan_if_due(self) -> None:
        """Build the plan of the present engine; one plan at a time."""
        id = self.engine.id
        if id not in (self._planned, "") and self.plan is None and self._wanted == id:
            self._planned, self.plan = id, "waiting"
            self._start_thread("plan", lambda: self._build(id))

    def _build(self, id: str) -> None:
        try:
            folder = self.registry.folder(id)
            engine = open_tensorrt(folder, self._plans, self._report_plan)
            try:
                check_golden(engine, folder)
            except BaseException:
                engine.close()
                raise
            self._offer(engine, folder)
        except _GivenUpError:
            pass
        except (Refusal, OSError) as error:
            self._report(id, str(error))
        except Exception as error:  # as above
            self._report(id, _in_one_line(error))
        finally:
            self.plan = None

    def _report_plan(self, doing: str, share: float) -> None:
        if self._stop.is_set():
            raise _GivenUpError
        self.plan = f"{doing} {100 * share:.0f} %"

    def _report(self, id: str, reason: str) -> None:
        """Log once why an engine is refused."""
        self.trouble = reason
        if (id, reason) not in self._reported:
            self._reported.add((id, reason))
            log.error("engine refused", extra={"engine": id, "reason": reason})

    def _start_thread(self, name: str, act: Callable[[], None]) -> None:
        worker = threading.Thread(target=act, name=name, daemon=True)
        self._workers = [one for one in self._workers if one.is_alive()] + [worker]
        worker.start()


class _GivenUpError(Exception):
    """The hub ends before the plan is built."""


def _in_one_line(error: Exception) -> str:
    """The first line of a library's error, with its type."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def folder_id(folder: Path) -> str:
    """The id of the engine in a folder: the folder's name, for the shipped one the manifest's id.

    Raises Refusal if the shipped manifest cannot be read; other folders are not read.
    """
    return read_manifest(folder).id if folder == SHIPPED else folder.name
