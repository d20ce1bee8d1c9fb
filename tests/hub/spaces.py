"""The loopback Hub's Spaces and account: variables, secrets that nobody can read, webhooks, tokens."""

import json
from typing import TYPE_CHECKING, Any

from tests.hub.answers import Answer, as_json
from tests.hub.storage import Refused, Repo

if TYPE_CHECKING:
    from tests.hub.server import LoopbackHub

ACCOUNT = "loopback"


def whoami(hub: "LoopbackHub", token: str, scope: str) -> Answer:
    said = {"role": "fineGrained", "fineGrained": hub.fine[token]} if token in hub.fine else {"role": scope}
    return as_json(
        {
            "type": "user",
            "name": ACCOUNT,
            "orgs": [{"type": "org", "name": "org", "roleInOrg": "admin"}],
            "auth": {"type": "access_token", "accessToken": {"displayName": "test", **said}},
        }
    )


def secrets(hub: "LoopbackHub", repo: Repo, rest: str, _: Any, body: bytes, handler: Any) -> Answer:
    """As on the Hub: written and deleted, listed by name and description, never read."""
    if handler.command == "POST":
        entry = json.loads(body)
        repo.secrets[entry["key"]] = (entry["value"], entry.get("description"))
    return as_json({name: {"description": words} for name, (_, words) in repo.secrets.items()})


def variables(hub: "LoopbackHub", repo: Repo, rest: str, _: Any, body: bytes, handler: Any) -> Answer:
    if handler.command == "POST":
        entry = json.loads(body)
        repo.variables[entry["key"]] = entry["value"]
    return as_json({name: {"value": value} for name, value in repo.variables.items()})


def settings(hub: "LoopbackHub", repo: Repo, rest: str, _: Any, body: bytes, handler: Any) -> Answer:
    visibility = json.loads(body).get("visibility")
    repo.private = repo.private if visibility is None else visibility == "private"
    return as_json({"visibility": visibility})


def webhooks(hub: "LoopbackHub", scope: str | None, method: str, path: str, body: bytes) -> Answer:
    if scope != "write":
        raise Refused(401 if scope is None else 403, "", "You need write access")
    _, _, name = path.removeprefix("/api/settings/").partition("/")
    if not name:
        if method == "GET":
            return as_json(hub.webhooks)
        wanted = json.loads(body)
        _check(wanted)
        hub.webhooks.append({"id": f"w{len(hub.webhooks)}", "disabled": False, "secret": None} | wanted)
        return as_json({"webhook": hub.webhooks[-1]})
    name, _, action = name.partition("/")
    found = next((webhook for webhook in hub.webhooks if webhook["id"] == name), None)
    if found is None:
        raise Refused(404, "", "Webhook not found")
    if action in ("enable", "disable"):
        found["disabled"] = action == "disable"
    else:
        wanted = json.loads(body)
        _check(wanted)
        found.update(wanted)
    return as_json({"webhook": found})


def _check(wanted: dict[str, Any]) -> None:
    if not wanted.get("watched") or not str(wanted.get("url", "")).startswith("https://"):
        raise Refused(400, "", "a webhook watches something and tells an https address")
