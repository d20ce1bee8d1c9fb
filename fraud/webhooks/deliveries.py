"""The durable outbox: messages that must reach endpoints, and what became of each delivery.

One SQLite file for any number of processes (docs/decisions/0019-webhooks.md). A delivery is one message to
one endpoint: *pending* -> claimed by one sender, with a lease -> *delivered*, pending again for later, or
*failed* when the schedule is at its end or the endpoint is gone. A sender that dies leaves its lease; when it
has run out the delivery is sent again, under the same id. No secret and no address is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from fraud.errors import NotFound, OutboxFull
from fraud.ids import new_id
from fraud.sqlite_file import SqliteFile
from fraud.webhooks.endpoints import Endpoint
from fraud.webhooks.messages import topic_of, write_body
from fraud.webhooks.schedule import Answer, Outcome, Verdict

LEASE_S = 120
"""How long a claim lasts: six times the longest request, so that a living sender never loses it."""

KEPT_DAYS = 30
"""How long a message is kept: three times the longest that its schedule can take."""

_FORMAT = 1
_SCHEMA = """
CREATE TABLE topics (
    topic TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE messages (
    message_id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL REFERENCES messages ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due_ms INTEGER NOT NULL,
    lease TEXT,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    tried_ms INTEGER,
    status INTEGER,
    problem TEXT NOT NULL DEFAULT '',
    UNIQUE (message_id, endpoint)
) STRICT;
CREATE TABLE endpoints (
    name TEXT PRIMARY KEY,
    disabled_ms INTEGER,
    hold_until_ms INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX pending ON deliveries (endpoint, seq) WHERE state = 'pending';
CREATE INDEX old ON messages (made_ms);
"""

_DISABLED = "the endpoint is disabled"


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A message that survives a crash, and the endpoints that it is for."""

    message_id: str
    sequence: int
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that one sender holds; `attempt` counts from 1."""

    seq: int
    lease: str
    message_id: str
    endpoint: str
    body: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one endpoint, as it stands."""

    message_id: str
    type: str
    sequence: int
    endpoint: str
    state: str
    attempts: int
    due_at: datetime
    tried_at: datetime | None
    status: int | None
    problem: str


class WebhookOutbox:
    """Keeps messages until each endpoint has them, for any number of threads and processes.

    Parameters
    ----------
    path
        The SQLite file; made on first use.
    endpoints
        Who is told, as configured in this process.
    max_backlog
        Pending deliveries at which `enqueue` refuses.
    """

    def __init__(self, path: Path, endpoints: Sequence[Endpoint], max_backlog: int = 20_000) -> None:
        self._file = SqliteFile(path, _SCHEMA, _FORMAT, name="webhooks", holds="webhook deliveries")
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._max_backlog = max_backlog

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Who is told."""
        return tuple(self._endpoints.values())

    @property
    def used(self) -> bool:
        """Whether anything was ever kept here."""
        return self._file.made

    def endpoint(self, name: str) -> Endpoint:
        """Return a configured endpoint; NotFound if there is none of that name."""
        if name not in self._endpoints:
            raise NotFound(
                f"There is no endpoint {name!r}; there are: {', '.join(self._endpoints) or 'none'}.",
                code="no_endpoint",
                field="endpoint",
            )
        return self._endpoints[name]

    def enqueue(
        self, event_type: str, data: Mapping[str, object], at: datetime, *, message_id: str | None = None
    ) -> Enqueued | None:
        """Return only once the message survives a crash; None, and nothing is written, if nobody wants it.

        `data` gets a `sequence` larger than that of every earlier message of its topic. Whoever may be
        killed and come again names the message: what is kept already under that id is left as it is.

        Raises
        ------
        OutboxFull
            Too many deliveries are pending.
        StorageError
            The disk is full, read-only, locked or damaged; nothing will be sent.
        """
        wanted = [endpoint.name for endpoint in self.endpoints if endpoint.wants(event_type)]
        if not wanted:
            return None
        now_ms, message_id = _ms(at), message_id or new_id("msg")
        with self._file.transaction() as database:
            kept = _kept(database, message_id)
            if kept is not None:
                return kept
            self._require_room(database)
            sequence = _next_sequence(database, topic_of(event_type), now_ms)
            body = write_body(event_type, at, {**data, "sequence": sequence})
            database.execute(
                "INSERT INTO messages VALUES (?, ?, ?, ?, ?)",
                (message_id, event_type, sequence, now_ms, body),
            )
            disabled = _disabled(database)
            database.executemany(
                "INSERT INTO deliveries (message_id, endpoint, state, due_ms, problem)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (message_id, name, "failed", now_ms, _DISABLED)
                    if name in disabled
                    else (message_id, name, "pending", now_ms, "")
                    for name in wanted
                ],
            )
            _forget_old(database, now_ms)
        return Enqueued(message_id, sequence, tuple(wanted))

    def claim(self, endpoint: str, due_by: datetime, now: datetime) -> Claim | None:
        """Take the oldest delivery to an endpoint that is due and that nobody holds; None if none is."""
        lease, now_ms = new_id("l"), _ms(now)
        with self._file.transaction() as database:
            row = database.execute(
                "UPDATE deliveries SET lease = ?, lease_until_ms = ?, attempts = attempts + 1"
                " WHERE seq = (SELECT seq FROM deliveries WHERE endpoint = ? AND state = 'pending'"
                "   AND due_ms <= ? AND lease_until_ms <= ? AND NOT EXISTS (SELECT 1 FROM endpoints"
                "   WHERE name = endpoint AND (disabled_ms IS NOT NULL OR hold_until_ms > ?))"
                "   ORDER BY seq LIMIT 1)"
                " RETURNING seq, message_id, attempts,"
                " (SELECT body FROM messages m WHERE m.message_id = deliveries.message_id)",
                (lease, now_ms + LEASE_S * 1_000, endpoint, _ms(due_by), now_ms, now_ms),
            ).fetchone()
        if row is None:
            return None
        return Claim(row[0], lease, row[1], endpoint, body=row[3], attempt=row[2])

    def record(self, claim: Claim, answer: Answer, verdict: Verdict, now: datetime) -> None:
        """Write down what an attempt came to.

        A success counts even where the lease has run out; a failure only for who still holds the delivery.
        """
        state = {Outcome.DELIVERED: "delivered", Outcome.RETRY: "pending"}.get(verdict.outcome, "failed")
        due_ms = _ms(verdict.due_at or now)
        with self._file.transaction() as database:
            database.execute(
                "UPDATE deliveries SET state = ?, due_ms = ?, tried_ms = ?, status = ?, problem = ?,"
                " lease = NULL, lease_until_ms = 0"
                " WHERE seq = ? AND (state = 'pending' AND lease = ? OR ? = 'delivered')",
                (state, due_ms, _ms(now), answer.status, answer.problem, claim.seq, claim.lease, state),
            )
            if verdict.hold_until is not None:
                database.execute(
                    "INSERT INTO endpoints (name, hold_until_ms) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE"
                    " SET hold_until_ms = max(hold_until_ms, excluded.hold_until_ms)",
                    (claim.endpoint, _ms(verdict.hold_until)),
                )
            if verdict.outcome is Outcome.GONE:
                _disable(database, claim.endpoint, _ms(now))

    def enable(self, name: str) -> bool:
        """Take an endpoint up again; return whether it was disabled or on hold. What failed stays so."""
        self.endpoint(name)
        with self._file.transaction() as database:
            changed = database.execute("DELETE FROM endpoints WHERE name = ?", (name,)).rowcount
        return changed > 0

    def disabled(self) -> dict[str, datetime]:
        """Return the endpoints that answered 410, with the time of it."""
        with self._file.reading() as database:
            return {name: _moment(when) for name, when in _disabled(database).items()}

    def held(self, now: datetime) -> dict[str, datetime]:
        """Return the endpoints that asked for a pause (Retry-After), with its end."""
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT name, hold_until_ms FROM endpoints WHERE hold_until_ms > ?", (_ms(now),)
            )
            return {name: _moment(until) for name, until in rows}

    def deliveries(self, *, failed: bool = False, limit: int = 1_000) -> tuple[Delivery, ...]:
        """Return what is kept, newest first; with `failed`, what was given up or failed so far."""
        condition = "state = 'failed' OR (state = 'pending' AND tried_ms IS NOT NULL)" if failed else "1"
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT message_id, type, sequence, endpoint, state, attempts, due_ms, tried_ms, status,"  # noqa: S608
                f" problem FROM deliveries JOIN messages USING (message_id) WHERE {condition}"
                " ORDER BY seq DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return tuple(_delivery(row) for row in rows)

    def replay(
        self,
        now: datetime,
        *,
        message_id: str | None = None,
        endpoint: str | None = None,
        failed: bool = False,
    ) -> int:
        """Make deliveries due at once, from the start of the schedule; return how many.

        Of one message, of one endpoint, of those that were given up, or where all that is named holds.
        Endpoints that are disabled or no longer configured are passed over.

        Raises
        ------
        NotFound
            There is no such message or endpoint.
        """
        if endpoint is not None:
            self.endpoint(endpoint)
        with self._file.transaction() as database:
            if message_id is not None and not _knows(database, message_id):
                raise NotFound(f"There is no message {message_id!r}.", code="no_message", field="message_id")
            open_names = [name for name in self._endpoints if name not in _disabled(database)]
            chosen = [
                (_ms(now), seq)
                for seq, of_message, of_endpoint, state in database.execute(
                    "SELECT seq, message_id, endpoint, state FROM deliveries"
                )
                if of_endpoint in open_names
                and message_id in (None, of_message)
                and endpoint in (None, of_endpoint)
                and (state == "failed" or not failed)
            ]
            # A sender that holds one keeps its lease: two must not send at once.
            database.executemany(
                "UPDATE deliveries SET state = 'pending', attempts = 0, due_ms = ?, problem = ''"
                " WHERE seq = ?",
                chosen,
            )
        return len(chosen)

    def check(self) -> None:
        """Open the file and verify its structure; StorageError if it is damaged or cannot be used."""
        self._file.check()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file.close()

    def _require_room(self, database: Connection) -> None:
        pending = database.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()[0]
        if pending >= self._max_backlog:
            raise OutboxFull(
                f"{self._max_backlog:,} webhook deliveries wait to be sent; no more are taken until then.",
                code="webhooks_full",
                params={"limit": self._max_backlog},
            )


def _delivery(row: tuple[Any, ...]) -> Delivery:
    message_id, event_type, sequence, endpoint, state, attempts, due_ms, tried_ms, status, problem = row
    tried_at = None if tried_ms is None else _moment(tried_ms)
    due_at = _moment(due_ms)
    return Delivery(
        message_id, event_type, sequence, endpoint, state, attempts, due_at, tried_at, status, problem
    )


def _kept(database: Connection, message_id: str) -> Enqueued | None:
    found = database.execute("SELECT sequence FROM messages WHERE message_id = ?", (message_id,)).fetchone()
    if found is None:
        return None
    names = database.execute(
        "SELECT endpoint FROM deliveries WHERE message_id = ? ORDER BY seq", (message_id,)
    ).fetchall()
    return Enqueued(message_id, int(found[0]), tuple(name for (name,) in names))


def _next_sequence(database: Connection, topic: str, now_ms: int) -> int:
    """Return a number above all earlier ones of the topic, and above those of a file that was lost."""
    row = database.execute(
        "INSERT INTO topics VALUES (?, ?)"
        " ON CONFLICT (topic) DO UPDATE SET sequence = max(sequence + 1, excluded.sequence)"
        " RETURNING sequence",
        (topic, now_ms),
    ).fetchone()
    return int(row[0])


def _disabled(database: Connection) -> dict[str, int]:
    rows: Iterable[tuple[str, int]] = database.execute(
        "SELECT name, disabled_ms FROM endpoints WHERE disabled_ms IS NOT NULL"
    )
    return dict(rows)


def _disable(database: Connection, name: str, now_ms: int) -> None:
    database.execute(
        "INSERT INTO endpoints (name, disabled_ms) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET disabled_ms = excluded.disabled_ms",
        (name, now_ms),
    )
    database.execute(
        "UPDATE deliveries SET state = 'failed', problem = ? WHERE endpoint = ? AND state = 'pending'",
        (_DISABLED, name),
    )


def _forget_old(database: Connection, now_ms: int) -> None:
    limit = now_ms - int(timedelta(days=KEPT_DAYS).total_seconds() * 1_000)
    database.execute("DELETE FROM messages WHERE made_ms < ?", (limit,))


def _knows(database: Connection, message_id: str) -> bool:
    query = "SELECT 1 FROM messages WHERE message_id = ?"
    return database.execute(query, (message_id,)).fetchone() is not None


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
