"""One way to write JSON, so that equal content has equal bytes and an equal digest."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

from fraud.errors import FlagError

# Made once: a million events are read with them.
_CANONICAL = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_FRAME = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MAX_DEPTH = 8
_EXACT = 2**53  # integers up to here are the same number as a double, as in RFC 8785


def canonical_json(value: object, field: str) -> str:
    """Return sorted, compact JSON that every reader understands.

    NaN becomes null, for that is how a table says "missing". A float without a fraction is written as the
    integer that it equals, so that 5.0 and 5 are one value, as they are in RFC 8785.

    Raises
    ------
    FlagError
        An infinite number, half a surrogate pair, a value that JSON has no form for, or too deep a nesting.
    """
    plain = _plain(value, field, _MAX_DEPTH)
    return _CANONICAL.encode(plain)


def content_digest(profile: str, transaction_json: str, history_json: str | None) -> str:
    """Return the sha256 that two submissions share when they are about the same content.

    The parts are framed by JSON, so no choice of texts lets one content pass for another.
    """
    framed = _FRAME.encode([profile, transaction_json, history_json])
    return hashlib.sha256(framed.encode()).hexdigest()


def _plain(value: object, field: str, depth: int) -> object:
    if depth < 0:
        raise FlagError(f"{field} is nested too deeply to be stored.", code="too_deep", field=field)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return checked_text(value, field)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return _number(float(value), field)
    if isinstance(value, Mapping):
        return {_key(key, field): _plain(item, field, depth - 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_plain(item, field, depth - 1) for item in value]
    raise FlagError(
        f"{field} holds a {type(value).__name__}, which JSON has no form for.", code="not_json", field=field
    )


def _number(value: float, field: str) -> float | int | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise FlagError(f"{field} holds an infinite number.", code="not_finite", field=field)
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _key(key: object, field: str) -> str:
    if not isinstance(key, str):
        raise FlagError(f"{field} has a name that is not text.", code="not_json", field=field)
    return checked_text(key, field)


def checked_text(value: str, field: str) -> str:
    """Return `value` if it can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FlagError(f"{field} holds half a surrogate pair.", code="bad_unicode", field=field) from None
    return value
