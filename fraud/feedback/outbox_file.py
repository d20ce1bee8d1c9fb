"""The outbox's SQLite file: how it is made, opened, locked and found damaged."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from fraud.durable import exclusive, sync_directory
from fraud.errors import StorageError
from fraud.feedback import request_keys

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


class OutboxFile:
    """One connection for all threads of a process; opened by the first call, never shared with a fork.

    Parameters
    ----------
    path
        The SQLite file; made on first use.
    lock_timeout_s
        How long a call waits for another process that is writing.
    """

    def __init__(self, path: Path, lock_timeout_s: float) -> None:
        self._path = path.absolute()
        self._marker = path.absolute().with_suffix(".made")
        self._lock_timeout_s = lock_timeout_s
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inode = 0

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
            if not request_keys.exist(database):  # a file of an earlier version
                with exclusive(self._path.with_suffix(".mutex"), self._lock_timeout_s):
                    database.executescript(f"BEGIN IMMEDIATE;{request_keys.SCHEMA}COMMIT;")
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
