"""Who scores a table, and when: one table at a time in this process, one for each session, the others wait.

Scoring a million rows takes both cores and most of the memory that a small machine has, so tables queue. A
table that nobody asks about any more is given up, and every table goes after an hour.
"""

import logging
import secrets
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fraud import scratch
from fraud.errors import FraudError, NotFound, TableError
from fraud.serving.scorer import Scorer
from fraud.tables.accepting import Matching
from fraud.tables.matching import checked
from fraud.tables.reading import Sheet, open_sheet
from fraud.tables.scored import ScoredTable
from fraud.tables.scoring import score_sheet
from fraud.telemetry import UNOBSERVED, Observer, Stopwatch

_log = logging.getLogger(__name__)
State = Literal["opened", "waiting", "running", "done", "cancelled", "failed"]
UNASKED_S = 60.0
"""A waiting or running table that nobody asked about for so long is given up: its page was closed."""
MAX_WAITING = 8
MAX_KEPT = 12
MAX_KEPT_ROWS = 6_000_000
"""Tables, and rows of them, kept at once: about 50 bytes a row in memory, 300 on disk. What nobody asked
about for longest goes first; what waits or runs stays."""


class Cancelled(Exception):
    """The table that is being scored is wanted no more."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a table is. `place` counts from 1 while it waits; rows per second are those of the step."""

    state: State
    place: int = 0
    step: str = ""
    n_done: int = 0
    n_rows: int = 0
    rows_per_second: float = 0.0
    seconds: float = 0.0
    problem: FraudError | None = None


@dataclass(eq=False)
class _Job:
    job_id: str
    session: str
    sheet: Sheet
    folder: Path
    opened_at: float
    asked_at: float
    state: State = "opened"
    matching: Matching | None = None
    table: ScoredTable | None = None
    receipts: dict[int, str] = field(default_factory=dict)
    problem: FraudError | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    step: str = ""
    n_done: int = 0
    n_rows: int = 0
    started_at: float = 0.0
    step_at: float = 0.0
    ended_at: float = 0.0


class TableDesk:
    """Takes tables, scores them one after the other on a thread of its own, and forgets them.

    Parameters
    ----------
    scorer : returns what serves now; a table is scored by one version from its first row to its last
    observer : told how long a table took and how many rows it had
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        scorer: Callable[[], Scorer],
        observer: Observer = UNOBSERVED,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._scorer = scorer
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._working = False

    def open(self, path: Path, name: str, session: str = "") -> tuple[str, Sheet]:
        """Take a file over and return its id, which nobody can guess, and what it holds.

        The file is moved to a folder that is swept; the session's table before this one is given up.

        Raises
        ------
        TableError
            The file is no table that can be scored.
        """
        folder = scratch.new_file("x").parent
        own = folder / ("table.parquet" if name.lower().endswith((".parquet", ".pq")) else "table.csv")
        try:
            shutil.move(path, own)
            sheet = open_sheet(own, name)
        except FraudError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        now = time.monotonic()
        job = _Job(secrets.token_urlsafe(24), session, sheet, folder, now, now)
        with self._lock:
            old = [j.job_id for j in self._jobs.values() if session and j.session == session]
            self._jobs[job.job_id] = job
            old += self._too_many(now)
        for job_id in old:
            self.discard(job_id)
        return job.job_id, sheet

    def _too_many(self, now: float) -> list[str]:
        idle = [job for job in self._jobs.values() if job.state not in ("waiting", "running")]
        idle.sort(key=lambda job: job.asked_at)
        gone = [job for job in idle if now - job.opened_at > scratch.LIFE_S]
        kept = [job for job in idle if job not in gone]
        n_rows = sum(job.sheet.n_rows for job in self._jobs.values())
        while kept[:-1] and (len(self._jobs) - len(gone) > MAX_KEPT or n_rows > MAX_KEPT_ROWS):
            n_rows -= kept[0].sheet.n_rows
            gone.append(kept.pop(0))
        return [job.job_id for job in gone]

    def start(self, job_id: str, columns: Mapping[str, str | None]) -> None:
        """Put a table into the queue, its columns matched as a person chose.

        Raises
        ------
        TableError
            The choice cannot be, or too many tables wait.
        NotFound
            The table was forgotten.
        """
        job = self._find(job_id)
        matching = checked(columns, job.sheet, self._scorer().bundle.profile)
        with self._lock:
            if job.state in ("waiting", "running"):
                return
            if len(self._waiting) >= MAX_WAITING:
                raise TableError(
                    f"{MAX_WAITING} tables are waiting already; try again in some minutes.",
                    code="table_queue",
                    params={"n": MAX_WAITING},
                )
            job.matching, job.problem, job.table, job.state = matching, None, None, "waiting"
            job.step, job.n_done, job.n_rows, job.receipts = "", 0, 0, {}
            job.stop.clear()
            job.asked_at = time.monotonic()
            self._waiting.append(job)
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="score-tables", daemon=True).start()

    def progress(self, job_id: str) -> Progress:
        """Return where a table is, and note that somebody still wants it; NotFound if it was forgotten."""
        job = self._find(job_id)
        now = job.asked_at = time.monotonic()
        with self._lock:
            place = self._waiting.index(job) + 1 if job in self._waiting else 0
        busy = job.state == "running"
        took = max(now - job.step_at, 1e-3)
        return Progress(
            state=job.state,
            place=place,
            step=job.step,
            n_done=job.n_done,
            n_rows=job.n_rows,
            rows_per_second=job.n_done / took if busy else 0.0,
            seconds=(now if busy else job.ended_at) - job.started_at if job.started_at else 0.0,
            problem=job.problem,
        )

    def cancel(self, job_id: str) -> None:
        """Stop a table that waits or is being scored; it can be started again. NotFound if forgotten."""
        job = self._find(job_id)
        job.stop.set()
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = "cancelled"

    def discard(self, job_id: str) -> None:
        """Forget a table and delete its files; a table that is unknown is forgotten already."""
        with self._lock:
            job = self._jobs.pop(job_id, None)
            if job is None:
                return
            job.stop.set()
            if job in self._waiting:
                self._waiting.remove(job)
            running = job.state == "running"
        if not running:  # else the worker does it, once it has let go of the files
            shutil.rmtree(job.folder, ignore_errors=True)

    def table(self, job_id: str) -> ScoredTable:
        """Return a scored table; NotFound if it is not scored, or was forgotten."""
        job = self._find(job_id)
        job.asked_at = time.monotonic()
        if job.table is None:
            raise NotFound("This table is not scored.", code="table_gone")
        return job.table

    def sheet(self, job_id: str) -> Sheet:
        """Return what a table holds; NotFound if it was forgotten."""
        return self._find(job_id).sheet

    def columns(self, job_id: str) -> Mapping[str, str] | None:
        """Return the columns that a table was last scored by; None before, NotFound if it was forgotten."""
        matching = self._find(job_id).matching
        return None if matching is None else matching.columns

    def flagged(self, job_id: str) -> Mapping[int, str]:
        """Return position of each flagged row -> its receipt; NotFound if the table was forgotten."""
        return dict(self._find(job_id).receipts)

    def note_flags(self, job_id: str, receipts: Mapping[int, str]) -> None:
        """Remember which rows were flagged, for as long as the table is kept; NotFound if forgotten."""
        job = self._find(job_id)
        with self._lock:
            job.receipts = job.receipts | dict(receipts)

    def close(self) -> None:
        """Stop all work and delete every table."""
        for job_id in list(self._jobs):
            self.discard(job_id)

    def _find(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None or not job.folder.is_dir():
            raise NotFound(
                "The table was deleted, as every table is after an hour; send it again.", code="table_gone"
            )
        return job

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._working = False
                    return
                job = self._waiting.popleft()
                job.state, job.started_at = "running", time.monotonic()
            self._score(job)
            with self._lock:
                forgotten = job.job_id not in self._jobs
            if forgotten:
                shutil.rmtree(job.folder, ignore_errors=True)

    def _score(self, job: _Job) -> None:
        def report(step: str, n_done: int, n_rows: int) -> None:
            now = time.monotonic()
            if job.stop.is_set() or now - job.asked_at > UNASKED_S:
                raise Cancelled
            if step != job.step:
                job.step, job.step_at = step, now
            job.n_done, job.n_rows = n_done, n_rows

        watch = Stopwatch(self._observer)
        job.step = ""
        state: State = "failed"
        try:
            assert job.matching is not None  # noqa: S101 (set by `start`)
            job.table = score_sheet(
                job.sheet, job.matching, self._scorer(), self._clock(), job.folder, report
            )
            state = "done"
            self._observer.scored_table(len(job.table), job.table.n_refused)
            watch.lap("batch")
        except Cancelled:
            state = "cancelled"
        except FraudError as error:
            job.problem = error
        except (OSError, MemoryError) as error:
            _log.error("a table could not be scored: %s", error)
            job.problem = TableError(
                "The server has no room for this table now; try later, or send a smaller one.",
                code="table_room",
            )
        except Exception:
            # A defect must not end the queue: those who wait would wait for ever.
            _log.exception("a table could not be scored")
            job.problem = TableError(
                "The table could not be scored because of a defect here; it was logged.", code="table_defect"
            )
        finally:
            job.ended_at, job.state = time.monotonic(), state
