"""The settings of the REST API: who may ask, how often, and from which pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fraud.errors import SettingsError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORTEST_KEY = 32


@dataclass(frozen=True)
class ApiSettings:
    """What stands before /v1/.

    Attributes
    ----------
    key_digests : SHA-256 of each key that is accepted, hexadecimal; none: no key is asked for
    node_key : the key that this process itself sends to its prediction nodes
    cors_origins : origins whose pages may call the API; none by default
    request_limit : per key, or per address where no key is asked for, such as "600/minute"; "" for none
    framed_by : origins that may show the page in a frame
    """

    key_digests: tuple[str, ...] = field(default=(), repr=False)
    node_key: str | None = field(default=None, repr=False)
    cors_origins: tuple[str, ...] = ()
    request_limit: str = ""
    framed_by: tuple[str, ...] = ()


def read_api_settings(env: Mapping[str, str]) -> ApiSettings:
    """Return the section from FRAUD_API_KEYS, FRAUD_NODE_KEY, FRAUD_CORS_ORIGINS and FRAUD_REQUEST_LIMIT.

    Raises
    ------
    SettingsError
        Naming the variable and what it must be.
    """
    digests = _list(env, "FRAUD_API_KEYS")
    if not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise SettingsError(
            "FRAUD_API_KEYS must list SHA-256 digests of keys, by comma; `python -m fraud key` makes both.",
            code="settings",
            field="FRAUD_API_KEYS",
        )
    key = (env.get("FRAUD_NODE_KEY") or "").strip() or None
    if key is not None and not (len(key) >= _SHORTEST_KEY and key.isascii() and key.isprintable()):
        raise SettingsError(
            f"FRAUD_NODE_KEY must have at least {_SHORTEST_KEY} characters; `python -m fraud key` makes one.",
            code="settings",
            field="FRAUD_NODE_KEY",
        )
    origins = _list(env, "FRAUD_CORS_ORIGINS")
    if not all(_is_origin(origin) for origin in origins):
        raise SettingsError(
            "FRAUD_CORS_ORIGINS must list origins such as https://shop.example, by comma, without a path.",
            code="settings",
            field="FRAUD_CORS_ORIGINS",
        )
    limit = (env.get("FRAUD_REQUEST_LIMIT") or "off").strip()
    return ApiSettings(
        key_digests=digests,
        node_key=key,
        cors_origins=origins,
        request_limit="" if limit == "off" else limit,
        # A Space's page is looked at in a frame of the Hub.
        framed_by=("https://huggingface.co", "https://*.hf.space") if env.get("SPACE_ID") else (),
    )


def _is_origin(origin: str) -> bool:
    address = urlsplit(origin)
    return (
        address.scheme in ("http", "https")
        and bool(address.hostname)
        and origin == (f"{address.scheme}://{address.netloc}")
        and "@" not in origin
    )


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in (env.get(name) or "").split(",") if part.strip())
