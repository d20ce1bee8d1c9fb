"""The acknowledgement board: which node serves which version, and since when."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fraud.errors import WebhookRefused
from fraud.sqlite_file import SqliteFile

_FORMAT = 1
_SCHEMA = """
CREATE TABLE nodes (
    node TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
_STATES = {
    "node_states": """
CREATE TABLE IF NOT EXISTS node_states (
    node TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
}
_LONGEST_REASON = 300
_RULES = {
    "node": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
    "version": re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}"),
    "manifest_digest": re.compile(r"[0-9a-f]{64}"),
    "state": re.compile(r"serving|rolled_back|refused"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a node serves: since when, and when it last said so.

    `state` is "rolled_back" or "refused" where it turns the registry's champion away, for the reason it gave.
    """

    node: str
    version: str
    manifest_digest: str
    since: datetime
    seen_at: datetime
    state: str = "serving"
    reason: str = ""


class AcknowledgementBoard:
    """Keeps the last word of each node, for any number of threads and processes.

    Parameters
    ----------
    path
        The SQLite file; made on first use.
    max_nodes
        Nodes that are kept; who was silent longest makes room for a new one.
    """

    def __init__(self, path: Path, max_nodes: int = 1_000) -> None:
        self._file = SqliteFile(
            path, _SCHEMA, _FORMAT, name="webhooks", holds="acknowledgements", additions=_STATES
        )
        self._max_nodes = max_nodes

    def acknowledge(
        self,
        node: str,
        version: str,
        manifest_digest: str,
        at: datetime,
        *,
        state: str = "serving",
        reason: str = "",
    ) -> bool:
        """Write down that a node serves a version; return False, and change nothing, if it said more since.

        Raises
        ------
        WebhookRefused
            A name, version or digest that cannot be one.
        StorageError
            It could not be kept.
        """
        said = {"node": node, "version": version, "manifest_digest": manifest_digest, "state": state}
        for field, value in said.items():
            if not _RULES[field].fullmatch(value):
                raise WebhookRefused(
                    f"The acknowledgement's {field} is not one.", code="webhook_body", field=field
                )
        at_ms = (at - _EPOCH) // timedelta(milliseconds=1)
        with self._file.transaction() as database:
            kept = database.execute(
                "INSERT INTO nodes VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (node) DO UPDATE SET"
                " since_ms = iif(version = ?2 AND manifest_digest = ?3, since_ms, ?4),"
                " version = ?2, manifest_digest = ?3, seen_ms = ?4 WHERE seen_ms <= ?4",
                (node, version, manifest_digest, at_ms),
            ).rowcount
            if kept:
                database.execute(
                    "INSERT OR REPLACE INTO node_states VALUES (?, ?, ?)", (node, state, _printable(reason))
                )
            extra = database.execute("SELECT count(*) FROM nodes").fetchone()[0] - self._max_nodes
            if extra > 0:
                database.execute(
                    "DELETE FROM nodes WHERE node IN"
                    " (SELECT node FROM nodes WHERE node <> ? ORDER BY seen_ms, node LIMIT ?)",
                    (node, extra),
                )
                database.execute("DELETE FROM node_states WHERE node NOT IN (SELECT node FROM nodes)")
        return kept > 0

    def board(self) -> tuple[Acknowledgement, ...]:
        """Return what every node said last, by name; nothing, and no file, if none ever did."""
        if not self._file.made:
            return ()
        with self._file.reading() as database:
            rows = database.execute(
                "SELECT node, version, manifest_digest, since_ms, seen_ms, coalesce(state, 'serving'),"
                " coalesce(reason, '') FROM nodes LEFT JOIN node_states USING (node) ORDER BY node"
            ).fetchall()
        return tuple(
            Acknowledgement(node, version, digest, _moment(since_ms), _moment(seen_ms), state, reason)
            for node, version, digest, since_ms, seen_ms, state, reason in rows
        )

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file.close()


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_REASON]
