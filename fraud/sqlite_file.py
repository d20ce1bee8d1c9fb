"""A SQLite file that several threads and processes write, and whose loss is noticed.

What SQLite does not do for us (docs/decisions/0002-sqlite-outbox.md): it takes a lost file for a first start,
does not wait for its own lock while it switches to WAL, and forbids a connection that came through a fork.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from fraud.durable import exclusive, sync_directory
from fraud.errors import StorageError


class SqliteFile:
    """One file in WAL mode; what a transaction wrote survives a power failure once it returned.

    Parameters
    ----------
    path
        The file; made on first use, with a marker file beside it.
    schema
        Statements that make the tables.
    version
        Number of that schema; a file with another one is refused.
    name
        Begins the error codes: `{name}_gone`, `{name}_failed`, `{name}_format`.
    additions
        What later versions of the same format added: the name of a table or index, and the statements that
        make it where it is missing.
    holds
        What is in the file, in the plural, for the sentence that says it is lost.
    lock_timeout_s
        How long a call waits for another process that is writing.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        version: int,
        *,
        name: str,
        holds: str,
        additions: Mapping[str, str] | None = None,
        lock_timeout_s: float = 15.0,
    ) -> None:
        self._path = path.absolute()
        self._marker = path.absolute().with_suffix(".made")
        self._schema = schema
        self._version = version
        self._additions = dict(additions or {})
        self._name = name
        self._holds = holds
        self._lock_timeout_s = lock_timeout_s
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._inode = 0

    @property
    def made(self) -> bool:
        """Whether the file was made before; reading one that was not would make it."""
        return self._marker.exists()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread at a time; StorageError says why it cannot be used."""
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError) as error:
                raise self._error(error) from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all or nothing; what is raised inside undoes everything."""
        with self.reading() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                # COMMIT may have rolled back by itself, as it does when the disk is full.
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    def check(self) -> None:
        """Open the file and verify its structure; StorageError if it is damaged or cannot be used."""
        with self.reading() as database:
            problem = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise self._error(sqlite3.DatabaseError(problem))

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

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
                f"{self._path} was removed while in use; restart to continue.", code=f"{self._name}_gone"
            )
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        if self._marker.exists() and not (self._path.exists() and self._path.stat().st_size):
            raise StorageError(
                f"{self._path} held {self._holds} and is gone or empty; put it back from a copy, or remove"
                f" {self._marker.name} to start anew without them.",
                code=f"{self._name}_gone",
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
            if _version(database) != self._version:
                raise StorageError(
                    f"{self._path} has format {_version(database)}; this version reads {self._version}.",
                    code=f"{self._name}_format",
                )
            self._add_what_is_missing(database)
        except BaseException:
            database.close()
            raise
        return database

    def _add_what_is_missing(self, database: sqlite3.Connection) -> None:
        for made, statements in self._additions.items():
            if database.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (made,)).fetchone() is None:
                with exclusive(self._path.with_suffix(".mutex"), self._lock_timeout_s):
                    database.executescript(f"BEGIN IMMEDIATE;{statements}COMMIT;")

    def _create(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode = WAL")
        if _version(database) == 0:
            database.executescript(f"BEGIN;{self._schema}PRAGMA user_version = {self._version};COMMIT;")
        # From here on a missing or empty file is a loss, and not a first start.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._marker.touch()
        sync_directory(self._path.parent)

    def _error(self, error: Exception) -> StorageError:
        return StorageError(f"Nothing was saved: {_reason(error, self._path)}.", code=f"{self._name}_failed")


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
