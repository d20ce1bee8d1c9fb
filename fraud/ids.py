"""Identifiers that sort by the time they were made."""

import os
import time

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str) -> str:
    """Return `prefix` + "_" + a ULID: 48 bits of milliseconds, then 80 random bits (github.com/ulid/spec)."""
    return id_of(prefix, time.time_ns() // 1_000_000, os.urandom(10))


def id_of(prefix: str, moment_ms: int, randomness: bytes) -> str:
    """Return the id made at a moment (epoch milliseconds) with ten given bytes in the place of chance."""
    number = moment_ms << 80 | int.from_bytes(randomness, "big")
    return prefix + "_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
