"""What a node has received: a message twice, or after a newer one, changes nothing."""

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from sqlite3 import Connection

from fraud.sqlite_file import SqliteFile
from fraud.webhooks.messages import Message

KEPT_DAYS = 14
"""How long an id is remembered: longer than a sender tries with it."""

_FORMAT = 1
_SCHEMA = """
CREATE TABLE received (
    message_id TEXT PRIMARY KEY,
    at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE newest (
    topic TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oldest ON received (at_s);
"""


class Reception(StrEnum):
    """What a verified message is to this node. Each is answered 2xx, or its sender would go on."""

    FRESH = "fresh"
    DUPLICATE = "duplicate"
    LATE = "late"


class ReceivedStore:
    """Remembers message ids and the newest sequence of each topic, for any number of threads and processes.

    Parameters
    ----------
    path
        The SQLite file; made on first use.
    max_messages
        Ids that are remembered; the oldest are forgotten first.
    """

    def __init__(self, path: Path, max_messages: int = 20_000) -> None:
        self._file = SqliteFile(path, _SCHEMA, _FORMAT, name="webhooks", holds="received webhooks")
        self._max_messages = max_messages

    def accept(self, message: Message, now: datetime) -> Reception:
        """Say whether a verified message is new here, and remember it before anything is done about it.

        Of a topic whose newer message came first, it is LATE. Whoever cannot act on a FRESH one calls
        `forget` and answers an error, so that its sender tries again.

        Raises
        ------
        StorageError
            It could not be remembered; answer an error.
        """
        at_s = int(now.timestamp())
        with self._file.transaction() as database:
            added = database.execute(
                "INSERT INTO received VALUES (?, ?) ON CONFLICT DO NOTHING", (message.message_id, at_s)
            ).rowcount
            if not added:
                return Reception.DUPLICATE
            self._forget_old(database, at_s)
            newest = _newest(database, message.topic)
            if message.sequence is None:
                return Reception.FRESH
            if newest is not None and message.sequence < newest:
                return Reception.LATE
            database.execute(
                "INSERT INTO newest VALUES (?, ?) ON CONFLICT DO UPDATE SET sequence = excluded.sequence",
                (message.topic, message.sequence),
            )
            return Reception.FRESH

    def forget(self, message_id: str) -> None:
        """Take the same message again when it is sent again."""
        with self._file.transaction() as database:
            database.execute("DELETE FROM received WHERE message_id = ?", (message_id,))

    def newest(self, topic: str) -> int | None:
        """Return the largest sequence that was received of a topic."""
        with self._file.reading() as database:
            return _newest(database, topic)

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file.close()

    def _forget_old(self, database: Connection, at_s: int) -> None:
        oldest_s = at_s - int(timedelta(days=KEPT_DAYS).total_seconds())
        database.execute("DELETE FROM received WHERE at_s < ?", (oldest_s,))
        extra = database.execute("SELECT count(*) FROM received").fetchone()[0] - self._max_messages
        if extra > 0:
            database.execute(
                "DELETE FROM received WHERE message_id IN"
                " (SELECT message_id FROM received ORDER BY at_s, message_id LIMIT ?)",
                (extra,),
            )


def _newest(database: Connection, topic: str) -> int | None:
    row = database.execute("SELECT sequence FROM newest WHERE topic = ?", (topic,)).fetchone()
    return None if row is None else int(row[0])
