"""The Hub's own webhook: that a repository has changed, as a small record that names no Hub.

It carries the secret itself instead of a signature, no id and no time: whoever reads one can send it again.
So it may only make a node look, never say what to serve. Source: huggingface.co/docs/hub/webhooks, version 3.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fraud.errors import WebhookRefused
from fraud.webhooks.messages import read_object
from fraud.webhooks.signing import Headers

LARGEST_HUB_BODY = 262_144
"""Bytes; a discussion event carries a comment's whole text."""

_HEADER = "x-webhook-secret"
_KINDS = ("model", "dataset", "space")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_WORD = re.compile(r"[a-z]{1,32}(\.[a-zA-Z]{1,32}){0,3}")
_REF = re.compile(r"refs/[!-~]{1,250}")
_SHA = re.compile(r"[0-9a-f]{40}")
_MOST_REFS = 1_000


@dataclass(frozen=True, slots=True)
class RefChange:
    """A branch, tag or pull request and the commit it is at now; None: it was deleted."""

    ref: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class RepositoryChange:
    """What happened to a repository: `kind` is model, dataset or space; `scope` of commits: repo.content."""

    kind: str
    repository: str
    action: str
    scope: str
    refs: tuple[RefChange, ...]

    def revision(self, ref: str = "refs/heads/main") -> str | None:
        """Return the commit that a ref is at now; None if it did not change or was deleted."""
        return next((change.revision for change in self.refs if change.ref == ref), None)


def read_hub_event(headers: Headers, body: bytes, secrets: Sequence[str]) -> RepositoryChange:
    """Return what the Hub says, if it says one of our secrets (current and previous).

    Raises
    ------
    WebhookRefused
        `code`: `webhook_size`, `webhook_signature` or `webhook_body`.
    """
    if len(body) > LARGEST_HUB_BODY:
        raise WebhookRefused(
            f"The webhook's body must have at most {LARGEST_HUB_BODY:,} bytes.", code="webhook_size"
        )
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    said = [value for name, value in pairs if name.lower() == _HEADER]
    matches = False
    for secret in secrets:
        if len(said) == 1 and secret:
            matches |= hmac.compare_digest(secret.encode(), said[0].encode())
    if not matches:
        raise WebhookRefused("The webhook does not carry our secret.", code="webhook_signature")
    return _change(read_object(body))


def _change(document: dict[str, Any]) -> RepositoryChange:
    event, repo = _object(document, "event"), _object(document, "repo")
    kind = repo.get("type")
    if kind not in _KINDS:
        raise _bad("repo.type", "must be model, dataset or space")
    refs = document.get("updatedRefs", [])
    if not isinstance(refs, list) or len(refs) > _MOST_REFS:
        raise _bad("updatedRefs", f"must be a list of at most {_MOST_REFS:,}")
    return RepositoryChange(
        kind=kind,
        repository=_text(repo, "name", _NAME),
        action=_text(event, "action", _WORD),
        scope=_text(event, "scope", _WORD),
        refs=tuple(_ref(entry) for entry in refs),
    )


def _ref(entry: Any) -> RefChange:
    if not isinstance(entry, dict) or "newSha" not in entry:
        raise _bad("updatedRefs", "must be objects with a ref and a newSha")
    revision = entry["newSha"]
    if revision is not None and not (isinstance(revision, str) and _SHA.fullmatch(revision)):
        raise _bad("newSha", "must be a commit of 40 hex digits, or null")
    return RefChange(_text(entry, "ref", _REF), revision)


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise _bad(key, "must be an object")
    return value


def _text(document: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _bad(key, "is missing or not what it must be")
    return value


def _bad(field: str, rule: str) -> WebhookRefused:
    return WebhookRefused(f"The webhook's {field} {rule}.", code="webhook_body", field=field)
