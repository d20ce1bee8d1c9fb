"""Which events were read already, on disk: a million ids would otherwise be a quarter of a gigabyte."""

import sqlite3
from collections.abc import Sequence
from types import TracebackType


class Seen:
    """Remembers event ids with a fingerprint of their content, in a temporary file of SQLite's."""

    def __init__(self) -> None:
        self._n_asked = 0
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "PRAGMA cache_size = -32768",
            "CREATE TABLE seen (event_id TEXT PRIMARY KEY, fingerprint INTEGER, turn INTEGER) WITHOUT ROWID",
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
        return self.earlier_of_each([event_id], [fingerprint])[0]

    def earlier_of_each(self, event_ids: Sequence[str], fingerprints: Sequence[int]) -> Sequence[int | None]:
        """Return what `earlier` would, asked of each pair in turn."""
        first, before = self._n_asked, self._database.total_changes
        self._n_asked += len(event_ids)
        turns = range(first, self._n_asked)
        self._database.executemany(
            "INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", zip(event_ids, fingerprints, turns, strict=True)
        )
        if self._database.total_changes - before == len(event_ids):
            return [None] * len(event_ids)
        return [self._unless_now(event_id, turn) for event_id, turn in zip(event_ids, turns, strict=True)]

    def _unless_now(self, event_id: str, turn: int) -> int | None:
        found = self._database.execute("SELECT fingerprint, turn FROM seen WHERE event_id = ?", (event_id,))
        fingerprint, first_turn = found.fetchone()
        return None if first_turn == turn else int(fingerprint)
