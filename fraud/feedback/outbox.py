"""The durable outbox: submissions that were acknowledged and are not yet in the dataset repository.

One SQLite file, because it already solves torn writes, several processes and look-ups by receipt
(docs/decisions/0002-sqlite-outbox.md). The life of a submission: *pending* -> *sealed* into a batch, in one
transaction -> *committed* with the revision of the batch, when its payload is dropped and its receipt stays.
"""

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fraud.durable import exclusive, sync_directory
from fraud.errors import FlagError, NotFound, OutboxFull, StorageError
from fraud.ids import new_id
from fraud.records import Receipt

_FORMAT = 1
_SCHEMA = """
CREATE TABLE submissions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    receipt_id TEXT NOT NULL UNIQUE,
    saved_ms INTEGER NOT NULL,
    n_rows INTEGER NOT NULL,
    checksum TEXT NOT NULL,
    payload BLOB,
    batch_id TEXT REFERENCES batches,
    damaged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE batches (
    batch_id TEXT PRIMARY KEY,
    sealed_ms INTEGER NOT NULL,
    revision TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX uncommitted ON submissions (seq, batch_id, damaged) WHERE payload IS NOT NULL;
CREATE INDEX by_batch ON submissions (batch_id, seq) WHERE payload IS NOT NULL;
CREATE INDEX open_batches ON batches (batch_id) WHERE revision IS NULL;
"""


@dataclass(frozen=True, slots=True)
class Batch:
    """Submissions that are committed together; equal each time it is read."""

    batch_id: str
    sealed_at: datetime
    n_submissions: int
    n_rows: int
    lines: bytes


class Outbox:
    """Keeps submissions from acknowledgment to commit, for any number of threads and processes.

    Parameters
    ----------
    path
        The SQLite file; made on first use.
    max_backlog
        Uncommitted submissions at which `append` refuses.
    lock_timeout_s
        How long a call waits for another process that is writing.
    """

    def __init__(self, path: Path, max_backlog: int, lock_timeout_s: float = 15.0) -> None:
        self._path = path.absolute()
        self._marker = path.absolute().with_suffix(".made")
        self._max_backlog = max_backlog
        self._lock_timeout_s = lock_timeout_s
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inode = 0

    def append(self, receipt_id: str, lines: bytes, n_rows: int) -> Receipt:
        """Return only once the submission survives a crash; again with equal lines gives the same receipt.

        Raises
        ------
        OutboxFull
            The backlog has reached its limit.
        FlagError
            The receipt exists with other content.
        StorageError
            The disk is full, read-only, locked or damaged; nothing was acknowledged.
        """
        checksum = _checksum(receipt_id, lines)
        with self._transaction() as database:
            known = database.execute(
                "SELECT checksum FROM submissions WHERE receipt_id = ?", (receipt_id,)
            ).fetchone()
            if known is None:
                self._require_room(database)
                database.execute(
                    "INSERT INTO submissions (receipt_id, saved_ms, n_rows, checksum, payload)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (receipt_id, _now_ms(), n_rows, checksum, lines),
                )
            elif known[0] != checksum:
                raise FlagError(
                    f"The submission {receipt_id} was already saved with other content.",
                    code="already_saved",
                    field="event_id",
                )
            receipt = _receipt(database, receipt_id)
        return receipt

    def append_all(self, submissions: Sequence[tuple[str, bytes, int]]) -> int:
        """Save (receipt id, lines, rows) in one transaction, up to half of the limit; return the new ones.

        A receipt that was given before is left as it is.
        """
        saved_ms = _now_ms()
        rows = [(name, saved_ms, n, _checksum(name, lines), lines) for name, lines, n in submissions]
        with self._transaction() as database:
            if _backlog(database) + len(rows) > self._max_backlog // 2:
                raise self._full()
            return database.executemany(
                "INSERT INTO submissions (receipt_id, saved_ms, n_rows, checksum, payload)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (receipt_id) DO NOTHING",
                rows,
            ).rowcount

    def withdraw(self, receipt_id: str, tombstone_id: str, lines: bytes) -> Receipt:
        """Save a tombstone and let go of the content that it is about; return the tombstone's receipt.

        Again gives the same receipt. A full backlog is no reason to refuse: what is taken back makes room.
        """
        with self._transaction() as database:
            database.execute(
                "INSERT INTO submissions (receipt_id, saved_ms, n_rows, checksum, payload)"
                " VALUES (?, ?, 1, ?, ?) ON CONFLICT (receipt_id) DO NOTHING",
                (tombstone_id, _now_ms(), _checksum(tombstone_id, lines), lines),
            )
            # Out of its batch as well: if that is committed already, the tombstone comes in a later one.
            database.execute(
                "UPDATE submissions SET payload = NULL, batch_id = NULL, damaged = 0"
                " WHERE receipt_id = ? AND payload IS NOT NULL",
                (receipt_id,),
            )
            return _receipt(database, tombstone_id)

    def knows(self, receipt_id: str) -> bool:
        """Return whether a receipt was given here."""
        with self._reading() as database:
            query = "SELECT 1 FROM submissions WHERE receipt_id = ?"
            return database.execute(query, (receipt_id,)).fetchone() is not None

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt as it stands now, in the order in which they were given."""
        seq = 0
        while True:
            with self._reading() as database:
                rows = database.execute(
                    "SELECT seq, receipt_id, saved_ms, revision FROM submissions LEFT JOIN batches"
                    " USING (batch_id) WHERE seq > ? ORDER BY seq LIMIT 1000",
                    (seq,),
                ).fetchall()
            if not rows:
                return
            seq = rows[-1][0]
            yield from (Receipt(row[1], _moment(row[2]), row[3]) for row in rows)

    def waiting(self) -> Iterator[bytes]:
        """Yield the lines of each submission that is not committed yet, oldest first."""
        seq = 0
        while True:
            with self._reading() as database:
                row = database.execute(
                    "SELECT seq, payload FROM submissions WHERE seq > ? AND payload IS NOT NULL"
                    " AND NOT damaged ORDER BY seq LIMIT 1",
                    (seq,),
                ).fetchone()
            if row is None:
                return
            seq = row[0]
            yield row[1]

    def receipt(self, receipt_id: str) -> Receipt:
        """Return a receipt as it stands now; NotFound if it was never given."""
        if not receipt_id.isprintable():
            raise _unknown(repr(receipt_id))
        with self._reading() as database:
            return _receipt(database, receipt_id)

    def backlog(self) -> int:
        """Return how many submissions are not committed yet."""
        with self._reading() as database:
            return _backlog(database)

    def damaged(self) -> tuple[str, ...]:
        """Return the receipts of submissions whose bytes no longer match their checksum."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT receipt_id FROM submissions WHERE damaged AND payload IS NOT NULL ORDER BY seq"
            )
            return tuple(row[0] for row in rows)

    def seal(self, max_submissions: int, max_bytes: int) -> str | None:
        """Put the oldest pending submissions into a new batch; return its id, or None if there are none."""
        with self._transaction() as database:
            chosen: list[int] = []
            size = 0
            for seq, length in database.execute(
                "SELECT seq, length(payload) FROM submissions WHERE payload IS NOT NULL AND batch_id IS NULL"
                " AND NOT damaged ORDER BY seq LIMIT ?",
                (max_submissions,),
            ):
                size += length
                if chosen and size > max_bytes:
                    break
                chosen.append(seq)
            if not chosen:
                return None
            batch_id = new_id("b")
            database.execute("INSERT INTO batches (batch_id, sealed_ms) VALUES (?, ?)", (batch_id, _now_ms()))
            database.executemany(
                "UPDATE submissions SET batch_id = ? WHERE seq = ?", ((batch_id, seq) for seq in chosen)
            )
            return batch_id

    def open_batches(self) -> tuple[str, ...]:
        """Return the sealed batches that are not committed, oldest first."""
        with self._reading() as database:
            # By the order of their submissions: ids made within one millisecond do not sort.
            rows = database.execute(
                "SELECT batch_id FROM batches b WHERE revision IS NULL ORDER BY"
                " (SELECT min(seq) FROM submissions s WHERE s.batch_id = b.batch_id AND payload IS NOT NULL)"
            )
            return tuple(row[0] for row in rows)

    def batch(self, batch_id: str) -> Batch:
        """Return a sealed batch. A submission whose checksum fails is set aside, kept, and left out."""
        with self._transaction() as database:
            sealed_at = _sealed_at(database, batch_id)
            good: list[bytes] = []
            n_rows = 0
            for seq, receipt_id, count, checksum, payload in database.execute(
                "SELECT seq, receipt_id, n_rows, checksum, payload FROM submissions"
                " WHERE batch_id = ? AND payload IS NOT NULL ORDER BY seq",
                (batch_id,),
            ).fetchall():
                if _checksum(receipt_id, payload) == checksum:
                    good.append(payload)
                    n_rows += count
                else:
                    database.execute(
                        "UPDATE submissions SET damaged = 1, batch_id = NULL WHERE seq = ?", (seq,)
                    )
            return Batch(batch_id, sealed_at, len(good), n_rows, b"".join(good))

    def sealed_at(self, batch_id: str) -> datetime:
        """Return when a batch was sealed; NotFound if it was not."""
        with self._reading() as database:
            return _sealed_at(database, batch_id)

    def committed(self, batch_id: str, revision: str | None) -> int:
        """Record that a batch is part of `revision`; return its number of submissions.

        Their payloads are dropped and their receipts stay. None closes a batch that turned out empty, because
        all of it was set aside.
        """
        with self._transaction() as database:
            if revision is None:
                database.execute("DELETE FROM batches WHERE batch_id = ?", (batch_id,))
                return 0
            database.execute("UPDATE batches SET revision = ? WHERE batch_id = ?", (revision, batch_id))
            return database.execute(
                "UPDATE submissions SET payload = NULL WHERE batch_id = ? AND payload IS NOT NULL",
                (batch_id,),
            ).rowcount

    def check(self) -> None:
        """Open the file and verify its structure; StorageError if it is damaged or cannot be used."""
        with self._reading() as database:
            problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise self._error(sqlite3.DatabaseError(problem))

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _require_room(self, database: sqlite3.Connection) -> None:
        if _backlog(database) >= self._max_backlog:
            raise self._full()

    def _full(self) -> OutboxFull:
        return OutboxFull(
            f"{self._max_backlog:,} submissions may wait to be committed, and too many do; try again later.",
            code="outbox_full",
            params={"limit": self._max_backlog},
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                # COMMIT may have rolled back by itself, as it does when the disk is full.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid != os.getpid():
            # SQLite forbids using, and even closing, a connection that came through a fork.
            _ABANDONED.append(self._connection)
            self._connection = None
        if self._connection is None:
            self._connection = self._connect()
            self._pid, self._inode = os.getpid(), self._path.stat().st_ino
        elif not self._path.exists() or self._path.stat().st_ino != self._inode:
            # What is written to a deleted file is lost when it is closed.
            raise StorageError(
                f"{self._path} was removed while in use; restart to continue.", code="outbox_gone"
            )
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._marker.exists() and not (self._path.exists() and self._path.stat().st_size):
            raise StorageError(
                f"{self._path} held submissions and is gone or empty; put it back from a copy, or remove"
                f" {self._marker.name} to start anew without them.",
                code="outbox_gone",
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(
            self._path, timeout=self._lock_timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            for setting in (
                "synchronous = FULL",
                "fullfsync = ON",
                "secure_delete = ON",
                "foreign_keys = ON",
            ):
                database.execute(f"PRAGMA {setting}")
            if not self._marker.exists():
                # SQLite does not wait for its own lock while it switches to WAL.
                with exclusive(self._path.with_suffix(".mutex"), self._lock_timeout_s):
                    self._create(database)
            if _version(database) != _FORMAT:
                raise StorageError(
                    f"{self._path} has format {_version(database)}; this version reads {_FORMAT}.",
                    code="outbox_format",
                )
        except BaseException:
            database.close()
            raise
        return database

    def _create(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = WAL")
        if _version(database) == 0:
            database.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version = {_FORMAT};COMMIT;")
        # From here on a missing or empty file is a loss, and not a first start.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._marker.touch()
        sync_directory(self._path.parent)

    def _error(self, error: Exception) -> StorageError:
        return StorageError(f"Nothing was saved: {_reason(error, self._path)}.", code="outbox_failed")


_ABANDONED: list[sqlite3.Connection] = []
"""Connections of a parent process, kept so that they are never closed here."""


def _reason(error: Exception, path: Path) -> str:
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith("SQLITE_FULL"):
        return f"the disk of {path} is full"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"another process has locked {path} for too long"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return f"{path} cannot be written; check its folder and permissions"
    if isinstance(error, OSError) or name.startswith("SQLITE_IOERR"):
        return f"{path} cannot be used ({error})"
    return f"{path} is damaged ({error}); move it aside together with its -wal file, and keep both"


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _backlog(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM submissions WHERE payload IS NOT NULL").fetchone()[0])


def _receipt(database: sqlite3.Connection, receipt_id: str) -> Receipt:
    row = database.execute(
        "SELECT saved_ms, revision FROM submissions LEFT JOIN batches USING (batch_id) WHERE receipt_id = ?",
        (receipt_id,),
    ).fetchone()
    if row is None:
        raise _unknown(receipt_id)
    return Receipt(receipt_id, _moment(row[0]), row[1])


def _sealed_at(database: sqlite3.Connection, batch_id: str) -> datetime:
    row = database.execute("SELECT sealed_ms FROM batches WHERE batch_id = ?", (batch_id,)).fetchone()
    if row is None:
        raise NotFound(f"There is no batch {batch_id}.", code="no_batch", field="batch_id")
    return _moment(row[0])


def _unknown(receipt_id: str) -> NotFound:
    return NotFound(f"There is no receipt {receipt_id}.", code="no_receipt", field="receipt_id")


def _checksum(receipt_id: str, lines: bytes) -> str:
    return hashlib.sha256(receipt_id.encode() + b"\n" + lines).hexdigest()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds // 1_000, UTC).replace(
        microsecond=milliseconds % 1_000 * 1_000
    )
