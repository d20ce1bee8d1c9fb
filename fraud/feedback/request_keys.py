"""Idempotency keys of requests, kept beside the submissions: a request sent twice is answered once.

They live in the outbox's own file, so that a key and its submission are saved by one transaction: whatever
process answers the repeat, and whatever was killed in between, both are there or neither is. The rules follow
draft-ietf-httpapi-idempotency-key-header: the same key with another request is an error of the client's.
Only digests are kept, and those for a day.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass

from fraud.errors import FlagError

LIFE_MS = 24 * 3_600_000
"""How long a key is remembered: longer than any client repeats, and stated in the API's description."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS request_keys (
    key BLOB PRIMARY KEY,
    request BLOB NOT NULL,
    receipt_id TEXT NOT NULL,
    saved_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS request_keys_by_age ON request_keys (saved_ms);
"""
LAST_OBJECT = "request_keys_by_age"
"""What the schema makes last: where it is, all of it is."""
_KEY = re.compile(r"[A-Za-z0-9._~:+/=-]{8,128}")


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Digests of the key that a client chose and of the request that it chose it for."""

    key: bytes
    request: bytes


def request_key(key: str, request: bytes) -> RequestKey:
    """Return the key of a request; `key` may stand in double quotes, as a structured field's string does.

    Raises
    ------
    FlagError
        The key is too short, too long or holds other characters.
    """
    quoted = len(key) > 1 and key[0] == key[-1] == '"'
    bare = key[1:-1] if quoted else key
    if not _KEY.fullmatch(bare):
        raise FlagError(
            "Idempotency-Key must be 8 to 128 letters, digits or any of ._~:+/=-; use a new UUID.",
            code="idempotency_key",
            field="Idempotency-Key",
        )
    return RequestKey(hashlib.sha256(bare.encode()).digest(), hashlib.sha256(request).digest())


def find(database: sqlite3.Connection, asked: RequestKey, now_ms: int) -> str | None:
    """Return the receipt that a request was answered with, None if its key is new or forgotten.

    Raises
    ------
    FlagError
        The key was used for another request.
    """
    row = database.execute(
        "SELECT request, receipt_id FROM request_keys WHERE key = ? AND saved_ms > ?",
        (asked.key, now_ms - LIFE_MS),
    ).fetchone()
    if row is None:
        return None
    if row[0] != asked.request:
        raise FlagError(
            "This Idempotency-Key was already used for another request; use a new key for every new request.",
            code="idempotency_key_reused",
            field="Idempotency-Key",
        )
    return str(row[1])


def remember(database: sqlite3.Connection, asked: RequestKey, receipt_id: str, now_ms: int) -> None:
    """Keep the answer to a request; in place of a forgotten one, if its key had been used."""
    database.execute(
        "INSERT OR REPLACE INTO request_keys (key, request, receipt_id, saved_ms) VALUES (?, ?, ?, ?)",
        (asked.key, asked.request, receipt_id, now_ms),
    )


def drop_old(database: sqlite3.Connection, now_ms: int) -> None:
    """Forget the keys that are a day old."""
    database.execute("DELETE FROM request_keys WHERE saved_ms <= ?", (now_ms - LIFE_MS,))
