"""What a token may do, by what the Hub says of it: asked before anything is changed.

The Hub's answer to `whoami` names the role of the token. "write" may do what its account may; "fineGrained"
comes with permissions by user, organisation or repository (huggingface.co/docs/hub/security-tokens).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

READ = ("repo.content.read", "repo.write")
WRITE = ("repo.write",)
WEBHOOKS = ("user.webhooks.write",)
_WRITERS = ("admin", "write", "contributor")


@dataclass(frozen=True, slots=True)
class Need:
    """One right: any of `permissions` on a repository, or on the account itself where `repository` is None.

    Attributes
    ----------
    kind : "dataset", "model" or "space"; "user" for the account
    exists : whether the repository is there; to make one takes the right on its whole namespace
    """

    permissions: tuple[str, ...]
    kind: str
    repository: str | None = None
    exists: bool = True

    def __str__(self) -> str:
        what = f"{self.kind} {self.repository}" if self.repository else "the account"
        return f"{self.permissions[0]} on {what}"


def lacking(document: Mapping[str, Any], needs: Sequence[Need]) -> list[str]:
    """Return what a token may not do, in words; nothing if it may do all of it.

    Parameters
    ----------
    document : the Hub's answer to `whoami`
    """
    auth = document.get("auth")
    token = auth.get("accessToken") if isinstance(auth, Mapping) else None
    role = token.get("role") if isinstance(token, Mapping) else None
    if role == "fineGrained" and isinstance(token, Mapping):
        scoped = [*_scopes(token.get("fineGrained"))]
        return [str(need) for need in needs if not _granted(need, scoped, str(document.get("name")))]
    if role == "write":
        return [str(need) for need in needs if not _member(need, document)]
    if role == "read":
        return [str(need) for need in needs if need.permissions != READ]
    return ["anything that can be checked: it must be an access token with the role write or fine-grained"]


def _scopes(fine: object) -> Iterable[tuple[str, str, frozenset[str]]]:
    """Yield (kind, name, permissions) of each entry that can be read."""
    entries = fine.get("scoped") if isinstance(fine, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        entity = entry.get("entity") if isinstance(entry, Mapping) else None
        if isinstance(entity, Mapping):
            granted = entry.get("permissions")
            names = frozenset(p for p in granted if isinstance(p, str)) if isinstance(granted, list) else ()
            yield str(entity.get("type")), str(entity.get("name")), frozenset(names)


def _granted(need: Need, scoped: Sequence[tuple[str, str, frozenset[str]]], account: str) -> bool:
    wanted = frozenset(need.permissions)
    for kind, name, permissions in scoped:
        if not wanted & permissions:
            continue
        if need.repository is None:
            places = [("user", account)]
        else:
            namespace = need.repository.split("/")[0]
            places = [("user", namespace), ("org", namespace)]
            places += [(need.kind, need.repository)] if need.exists else []
        if (kind, name) in places:
            return True
    return False


def _member(need: Need, document: Mapping[str, Any]) -> bool:
    """Return whether the account writes in a repository's namespace; its own settings it may change."""
    if need.repository is None or need.permissions == READ:
        return True
    namespace = need.repository.split("/")[0]
    if namespace == document.get("name"):
        return True
    orgs = document.get("orgs")
    return any(
        isinstance(org, Mapping) and org.get("name") == namespace and org.get("roleInOrg") in _WRITERS
        for org in (orgs if isinstance(orgs, list) else ())
    )
