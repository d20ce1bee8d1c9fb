"""The one place that talks to Dask: a cluster to work on, and a function done on every item of a list.

Dask decides what runs where, starts workers that died again, and repeats what they were doing. A function
that is given to `Engine.each` must write whole files or none, so that doing it twice does no harm.
"""

import logging
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import joblib
import pyarrow as pa

from fraud.errors import FraudError, SettingsError
from fraud.scale.agreement import check_folder, check_versions

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[str], None]
ANSWERS_WITHIN = "20s"
"""How long a scheduler that was named is waited for."""
TOLD_EVERY_S = 30.0
"""How often a person is told how far a long step is."""
RETRIES = 3
"""How often work is begun again after a worker died in it."""


class EngineError(FraudError):
    """The cluster could not do what it was asked."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What a command says of its cluster.

    Attributes
    ----------
    scheduler : address of a running one, such as tcp://10.0.0.5:8786; None starts workers on this machine
    workers : processes to start here
    memory_limit : of each of these, such as "2GB"
    scratch : directory that all workers see, for files between two steps; None makes one beside the result
    """

    scheduler: str | None = None
    workers: int = 2
    memory_limit: str = "2GB"
    scratch: Path | None = None


class Engine:
    """A connected cluster and a working directory that its workers see."""

    def __init__(self, client: "Client", folder: Path, progress: Progress) -> None:
        self.client = client
        self.folder = folder
        self.progress = progress

    def each(self, function: Callable[..., Result], items: Sequence[Item], *shared: Any) -> list[Result]:
        """Return function(item, *shared) of every item, in their order.

        Raises
        ------
        FraudError
            What the function raised first, that a worker died `RETRIES` times over the same item, or that the
            scheduler is gone.
        """
        from distributed import as_completed

        futures = self.client.map(
            _called, items, function=function, shared=self._shared(shared), pure=False, key=_name(function)
        )
        position = {future.key: i for i, future in enumerate(futures)}
        results: dict[int, Result] = {}
        told_at = monotonic()
        try:
            with _told():
                for batch in as_completed(futures, with_results=True, raise_errors=True).batches():
                    for future, result in batch:
                        # Dask raises for the first of a batch only, and hands the others over as answers.
                        if future.status == "error":
                            future.result()
                        if isinstance(result, CancelledError):
                            raise result
                        results[position[future.key]] = result
                        future.release()
                    if monotonic() - told_at > TOLD_EVERY_S:
                        told_at = monotonic()
                        self.progress(f"{len(results):,} of {len(items):,} parts")
        finally:
            self.client.cancel(futures)
        return [results[i] for i in range(len(items))]

    def one_by_one(
        self, function: Callable[[Item], Result], items: Iterable[Item], ahead: int | None = None
    ) -> Iterator[Result]:
        """Yield function(item) of every item in their order; whoever stops asking stops what is not done.

        Parameters
        ----------
        ahead : how many items are taken before the first of them is asked for (None: all)

        Raises
        ------
        FraudError
            As `each`.
        """
        waiting: deque[Any] = deque()
        coming = iter(items)

        def fill() -> None:
            for item in islice(coming, None if ahead is None else max(0, ahead - len(waiting))):
                waiting.append(self.client.submit(function, item, pure=False, key=None))

        try:
            fill()
            while waiting:
                with _told():
                    result = waiting[0].result()
                waiting.popleft()
                fill()
                yield result
        finally:
            self.client.cancel(list(waiting))

    def _shared(self, values: Sequence[Any]) -> str | None:
        """Return the file that tasks read what they share from: one in memory would die with its worker."""
        if not values:
            return None
        path = self.folder / f"shared-{uuid4().hex}"
        joblib.dump(list(values), path)
        return str(path)

    @property
    def workers(self) -> Mapping[str, Mapping[str, Any]]:
        """Address of each worker -> what the scheduler knows of it."""
        found: Mapping[str, Mapping[str, Any]] = self.client.scheduler_info(n_workers=-1)["workers"]
        return found

    @property
    def scheduler_host(self) -> str:
        """Host of the scheduler's address: 127.0.0.1 for own workers."""
        from distributed.comm import get_address_host

        return str(get_address_host(self.client.scheduler.address))

    def members(self) -> dict[str, int]:
        """Return address -> process of each worker: one that was started anew is another process."""
        return self.each_worker(os.getpid)

    def each_worker(self, function: Callable[..., Result], *arguments: Any) -> dict[str, Result]:
        """Return address of each worker -> what the function returns there."""
        return dict(self.client.run(function, *arguments))

    @property
    def memory_bytes(self) -> int:
        """Memory of the smallest worker; that of a small machine where none has a limit."""
        limits = [int(w["memory_limit"]) for w in self.workers.values() if w.get("memory_limit")]
        return min(limits, default=4 << 30)

    def say(self, message: str) -> None:
        """Tell a person on stderr what went wrong and is being done again."""
        print(message, file=sys.stderr, flush=True)


@contextmanager
def _told() -> Iterator[None]:
    """Say in a sentence that a partition is too much for every worker, or that the scheduler is gone."""
    from distributed import KilledWorker

    try:
        yield
    except CancelledError as error:
        raise EngineError(
            "The Dask scheduler forgot the work or was lost in the middle of it, so nothing was finished; "
            "see that it runs, and run the same command again.",
            code="scheduler_lost",
        ) from error
    except KilledWorker as error:
        raise EngineError(
            "A worker died again and again over the same partition, most likely for want of memory; give the "
            "workers more (--memory-limit), or cut smaller partitions (--partition-rows).",
            code="worker_died",
        ) from error


def _called(item: Any, function: Callable[..., Any], shared: str | None) -> Any:
    try:
        return function(item, *(_read_shared(shared) if shared is not None else ()))
    finally:
        pa.default_memory_pool().release_unused()  # what Arrow keeps for later counts as the worker's


@lru_cache(maxsize=2)
def _read_shared(path: str) -> list[Any]:
    return list(joblib.load(path))


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", "step")).strip("_")


def require_dask() -> None:
    """Raise EngineError if Dask is not installed."""
    if find_spec("distributed") is None or find_spec("dask") is None:
        raise EngineError(
            "--engine dask needs dask and distributed; install requirements-scale.txt.", code="not_installed"
        )


@contextmanager
def engine(
    options: EngineOptions, beside: Path, progress: Progress = lambda message: None
) -> Iterator[Engine]:
    """Yield a cluster, and end what was started for it.

    Parameters
    ----------
    beside : the result's place; files between two steps lie in the same directory unless `scratch` is given

    Raises
    ------
    EngineError
        Dask is not installed, the scheduler does not answer, or has no worker.
    SettingsError
        A worker has another version of a library or of this package, or an option has no meaning.
    """
    require_dask()
    parent = (options.scratch or beside.parent).absolute()
    if options.scratch is None:
        parent.mkdir(parents=True, exist_ok=True)
    if not parent.is_dir():
        raise SettingsError(f"--scratch {parent}: there is no such directory; make it.", field="--scratch")
    with (
        _ended_by_sigterm(),
        tempfile.TemporaryDirectory(prefix=f".{beside.name}.scale-", dir=parent) as folder,
        _client(options, Path(folder)) as client,
    ):
        _wait_for_workers(client, options)
        check_versions(client)
        connected = Engine(client, Path(folder), progress)
        check_folder(connected, Path(folder))
        yield connected


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Make SIGTERM unwind the program as Ctrl+C does, so that its workers and its files go with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _client(options: EngineOptions, folder: Path) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster

    # Work that killed one worker is worth another try, work that killed several is not.
    settings: dict[str, Any] = {"distributed.scheduler.allowed-failures": RETRIES}
    # A worker does one thing at a time, so one that waits for room waits for ever; too much of it is killed.
    settings["distributed.worker.memory.pause"] = False
    with dask.config.set(settings):
        if options.scheduler is not None:
            with _connected(options.scheduler) as client:
                yield client
            return
        with (
            _own_memory(options),
            LocalCluster(
                n_workers=options.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=options.memory_limit,
                host="127.0.0.1",
                dashboard_address=None,
                local_directory=str(folder),
            ) as cluster,
            Client(cluster) as client,
            _scheduler_quiet(),
        ):
            client.register_plugin(_quiet())
            yield client


@contextmanager
def _scheduler_quiet() -> Iterator[None]:
    """Keep the own scheduler from listing every value that a killed worker held; the nanny says it died."""
    logger = logging.getLogger("distributed.scheduler")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _quiet() -> Any:
    """Return what keeps workers, new ones too, from printing tracebacks: what they raise is told here."""
    from distributed import WorkerPlugin

    class Quiet(WorkerPlugin):  # type: ignore[misc]  # distributed has no types
        def setup(self, worker: Any) -> None:
            logging.getLogger("distributed.worker").setLevel(logging.CRITICAL)

    return Quiet()


def _connected(scheduler: str) -> "Client":
    from distributed import Client

    try:
        return Client(scheduler, timeout=ANSWERS_WITHIN)
    except (OSError, ValueError) as error:
        raise EngineError(
            f"--scheduler {scheduler[:100]}: no Dask scheduler answers there ({type(error).__name__}); start "
            "one with `dask scheduler`, or leave the option out.",
            code="no_scheduler",
            field="--scheduler",
        ) from error


@contextmanager
def _own_memory(options: EngineOptions) -> Iterator[None]:
    from dask.utils import parse_bytes

    if options.workers < 1:
        raise SettingsError("--workers must be 1 or more.", field="--workers")
    try:
        limit = parse_bytes(options.memory_limit)
    except (ValueError, OverflowError):
        limit = 0
    if limit < 300_000_000:
        raise SettingsError(
            f'--memory-limit must be a size such as 2GB, 300MB at least, and "{options.memory_limit[:20]}" '
            "is none: the libraries alone take 250MB of a worker.",
            field="--memory-limit",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ports and dashboards that nobody asked for
        yield


def _wait_for_workers(client: "Client", options: EngineOptions) -> None:
    from distributed import TimeoutError as DaskTimeout

    wanted = 1 if options.scheduler is not None else options.workers
    try:
        client.wait_for_workers(wanted, timeout=60)
    except (DaskTimeout, TimeoutError) as error:
        raise EngineError(
            "The Dask scheduler has no worker after 60 s; start some with `dask worker ADDRESS`.",
            code="no_worker",
        ) from error
