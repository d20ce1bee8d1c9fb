"""Who is told, of what, at which address, and with which secrets."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fraud.errors import SettingsError
from fraud.webhooks.messages import EVENT_TYPES, PING
from fraud.webhooks.signing import check_secrets

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
_HOST = re.compile(r"[A-Za-z0-9_.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_VISIBLE = re.compile(r"[!-~]{1,2000}")
_KEYS = {"name", "url", "events", "secrets"}
_MOST = 64


@dataclass(frozen=True, slots=True)
class Address:
    """An address in its parts. The path and the query often hold a key, so neither is ever shown."""

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    def __str__(self) -> str:
        """Return the address without what may be secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver. `secrets`: the current one first; with a previous one each message is signed by both."""

    name: str
    address: Address
    events: tuple[str, ...]
    secrets: tuple[str, ...] = field(repr=False)

    def wants(self, event_type: str) -> bool:
        """Return whether the endpoint asked for events of this type; everybody takes a ping."""
        return event_type == PING or event_type in self.events


def parse_endpoints(text: str, secrets: Sequence[str]) -> tuple[Endpoint, ...]:
    """Return the endpoints of FRAUD_WEBHOOKS: the path of a TOML file, or addresses with commas between.

    Addresses take every event, are signed with `secrets`, and are named by their host.

    Raises
    ------
    SettingsError
        Naming the key and its rule.
    """
    text = text.strip()
    if not text:
        return ()
    if "://" not in text:
        return _read_file(Path(text))
    shared = check_secrets(secrets, "FRAUD_WEBHOOK_SECRETS")
    urls = [part.strip() for part in text.split(",") if part.strip()]
    endpoints: list[Endpoint] = []
    for url in urls:
        address = parse_address(url, "FRAUD_WEBHOOKS")
        name = _free_name(address.host, {endpoint.name for endpoint in endpoints})
        endpoints.append(Endpoint(name, address, EVENT_TYPES, shared))
    return _check_count(endpoints)


def parse_address(url: str, where: str) -> Address:
    """Return an address in its parts, taken apart once so that no two readers of it can differ.

    Raises
    ------
    SettingsError
        It is not http or https, names a user, or holds what an address may not.
    """
    problem = _bad(where, "must be an address such as https://node.example/webhooks, without a user or a #")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise problem from error
    host = parts.hostname or ""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if (
        parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or not _VISIBLE.fullmatch(url)
        or "\\" in url
        or "#" in url
        or port == 0
        or not _HOST.fullmatch(host)
    ):
        raise problem
    return Address(parts.scheme, host.lower(), port or (443 if parts.scheme == "https" else 80), target)


def _read_file(path: Path) -> tuple[Endpoint, ...]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _bad("FRAUD_WEBHOOKS", f"names {path}, which cannot be read ({error.strerror})") from error
    except ValueError:
        # Not chained: the parser's sentence could quote a line that holds a secret.
        raise _bad("FRAUD_WEBHOOKS", f"names {path}, which is not TOML") from None
    entries = document.pop("endpoint", [])
    if document or not isinstance(entries, list):
        raise _bad("FRAUD_WEBHOOKS", f"names {path}, which must hold [[endpoint]] tables only")
    endpoints = [_endpoint(entry, f"endpoint {i} of {path.name}") for i, entry in enumerate(entries, 1)]
    if len({endpoint.name for endpoint in endpoints}) != len(endpoints):
        raise _bad(f"endpoints of {path.name}", "must have names that differ")
    return _check_count(endpoints)


def _endpoint(entry: Any, where: str) -> Endpoint:
    if not isinstance(entry, dict) or set(entry) - _KEYS:
        raise _bad(where, f"may hold only {', '.join(sorted(_KEYS))}")
    name, url, events, secrets = (entry.get(key) for key in ("name", "url", "events", "secrets"))
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise _bad(f"name of {where}", "must be at most 48 lower-case letters, digits, _ and -")
    if not isinstance(url, str):
        raise _bad(f"url of {where}", "must be an address")
    events = list(EVENT_TYPES) if events is None else events
    if not isinstance(events, list) or not events or any(event not in EVENT_TYPES for event in events):
        raise _bad(f"events of {where}", f"must be some of {', '.join(EVENT_TYPES)}")
    if not isinstance(secrets, list) or not all(isinstance(secret, str) for secret in secrets):
        raise _bad(f"secrets of {where}", "must be a list of texts")
    checked = check_secrets(secrets, f"secrets of {where}")
    return Endpoint(name, parse_address(url, f"url of {where}"), tuple(dict.fromkeys(events)), checked)


def _free_name(host: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:40] or "endpoint"
    names = [base, *(f"{base}-{i}" for i in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _check_count(endpoints: list[Endpoint]) -> tuple[Endpoint, ...]:
    if len(endpoints) > _MOST:
        raise _bad("FRAUD_WEBHOOKS", f"must hold at most {_MOST} endpoints")
    return tuple(endpoints)


def _bad(field_name: str, rule: str) -> SettingsError:
    return SettingsError(f"{field_name} {rule}.", code="settings", field=field_name)
