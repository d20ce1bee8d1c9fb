"""The durable outbox: submissions that were acknowledged and are not yet in the dataset repository.

One SQLite file, because it already solves torn writes, several processes and look-ups by receipt
(docs/decisions/0002-sqlite-outbox.md). The life of a submission: *pending* -> *sealed* into a batch, in one
transaction -> *committed* with the revision of the batch, when its payload is dropped and its receipt stays.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fraud.errors import FlagError, NotFound, OutboxFull
from fraud.feedback import request_keys
from fraud.feedback.request_keys import RequestKey
from fraud.ids import new_id
from fraud.records import Receipt
from fraud.sqlite_file import SqliteFile

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
class BacklogState:
    """How many submissions wait to be committed, at how many no more are taken, and since when they wait."""

    waiting: int
    limit: int
    oldest_at: datetime | None

    @property
    def full(self) -> bool:
        """Whether the next submission is refused."""
        return self.waiting >= self.limit


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
        self._file = SqliteFile(
            path,
            _SCHEMA,
            _FORMAT,
            additions={request_keys.LAST_OBJECT: request_keys.SCHEMA},
            name="outbox",
            holds="submissions",
            lock_timeout_s=lock_timeout_s,
        )
        self._max_backlog = max_backlog

    def append(
        self, receipt_id: str, lines: bytes, n_rows: int, request_key: RequestKey | None = None
    ) -> Receipt:
        """Return only once the submission survives a crash; again with equal lines gives the same receipt.

        With a request key that has been answered, return that answer and save nothing.

        Raises
        ------
        OutboxFull
            The backlog has reached its limit.
        FlagError
            The receipt exists with other content, or the key was used for another request.
        StorageError
            The disk is full, read-only, locked or damaged; nothing was acknowledged.
        """
        checksum = _checksum(receipt_id, lines)
        with self._file.transaction() as database:
            answered = request_key and request_keys.find(database, request_key, _now_ms())
            if answered:
                return _receipt(database, answered)
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
            if request_key is not None:
                request_keys.remember(database, request_key, receipt_id, _now_ms())
            receipt = _receipt(database, receipt_id)
        return receipt

    def answered(self, request_key: RequestKey) -> Receipt | None:
        """Return what a request was answered with, None for a new one; FlagError if its key was another's."""
        with self._file.reading() as database:
            receipt_id = request_keys.find(database, request_key, _now_ms())
            return None if receipt_id is None else _receipt(database, receipt_id)

    def append_all(self, submissions: Sequence[tuple[str, bytes, int]]) -> int:
        """Save (receipt id, lines, rows) in one transaction, up to half of the limit; return the new ones.

        A receipt that was given before is left as it is.
        """
        saved_ms = _now_ms()
        rows = [(name, saved_ms, n, _checksum(name, lines), lines) for name, lines, n in submissions]
        with self._file.transaction() as database:
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
        with self._file.transaction() as database:
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
        with self._file.reading() as database:
            query = "SELECT 1 FROM submissions WHERE receipt_id = ?"
            return database.execute(query, (receipt_id,)).fetchone() is not None

    def receipts(self) -> Iterator[Receipt]:
        """Yield every receipt as it stands now, in the order in which they were given."""
        seq = 0
        while True:
            with self._file.reading() as database:
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
            with self._file.reading() as database:
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
        with self._file.reading() as database:
            return _receipt(database, receipt_id)

    def backlog(self) -> int:
        """Return how many submissions are not committed yet."""
        with self._file.reading() as database:
            return _backlog(database)

    def state(self) -> BacklogState:
        """Return how much waits, for how long, and how much may."""
        with self._file.reading() as database:
            oldest = database.execute(
                "SELECT saved_ms FROM submissions WHERE payload IS NOT NULL ORDER BY seq LIMIT 1"
            ).fetchone()
            return BacklogState(
                _backlog(database), self._max_backlog, None if oldest is None else _moment(oldest[0])
            )

    def damaged(self) -> tuple[str, ...]:
        """Return the receipts of submissions whose bytes no longer match their checksum."""
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT receipt_id FROM submissions WHERE damaged AND payload IS NOT NULL ORDER BY seq"
            )
            return tuple(row[0] for row in rows)

    def seal(self, max_submissions: int, max_bytes: int) -> str | None:
        """Put the oldest pending submissions into a new batch; return its id, or None if there are none."""
        with self._file.transaction() as database:
            request_keys.drop_old(database, _now_ms())
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
        with self._file.reading() as database:
            # By the order of their submissions: ids made within one millisecond do not sort.
            rows = database.execute(
                "SELECT batch_id FROM batches b WHERE revision IS NULL ORDER BY"
                " (SELECT min(seq) FROM submissions s WHERE s.batch_id = b.batch_id AND payload IS NOT NULL)"
            )
            return tuple(row[0] for row in rows)

    def batch(self, batch_id: str) -> Batch:
        """Return a sealed batch. A submission whose checksum fails is set aside, kept, and left out."""
        with self._file.transaction() as database:
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
        with self._file.reading() as database:
            return _sealed_at(database, batch_id)

    def committed(self, batch_id: str, revision: str | None) -> int:
        """Record that a batch is part of `revision`; return its number of submissions.

        Their payloads are dropped and their receipts stay. None closes a batch that turned out empty, because
        all of it was set aside.
        """
        with self._file.transaction() as database:
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
        self._file.check()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file.close()

    def _require_room(self, database: sqlite3.Connection) -> None:
        if _backlog(database) >= self._max_backlog:
            raise self._full()

    def _full(self) -> OutboxFull:
        return OutboxFull(
            f"{self._max_backlog:,} submissions may wait to be committed, and too many do; try again later.",
            code="outbox_full",
            params={"limit": self._max_backlog},
        )


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
