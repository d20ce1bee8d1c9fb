"""Which events were read already, on disk: a million ids would otherwise be a quarter of a gigabyte."""

import sqlite3
from types import TracebackType


class Seen:
    """Remembers event ids with a fingerprint of their content, in a temporary file of SQLite's."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA cache_size = -32768",
            "CREATE TABLE seen (event_id TEXT PRIMARY KEY, fingerprint INTEGER) WITHOUT ROWID",
            "BEGIN",
        ):
            self._database.execute(statement)

    def __enter__(self) -> "Seen":
        """Return the memory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget everything."""
        self._database.close()

    def earlier(self, event_id: str, fingerprint: int) -> int | None:
        """Return the fingerprint with which the id was seen first, or None and remember it."""
        added = self._database.execute(
            "INSERT OR IGNORE INTO seen VALUES (?, ?)", (event_id, fingerprint)
        ).rowcount
        if added:
            return None
        found = self._database.execute("SELECT fingerprint FROM seen WHERE event_id = ?", (event_id,))
        return int(found.fetchone()[0])
