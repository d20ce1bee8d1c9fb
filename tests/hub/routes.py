"""What the loopback Hub answers to each route that its client library calls."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.hub import spaces
from tests.hub.answers import Answer
from tests.hub.answers import as_json as _json
from tests.hub.storage import Refused, Repo, pointer

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from tests.hub.server import LoopbackHub


def _scope(hub: LoopbackHub, handler: BaseHTTPRequestHandler) -> str | None:
    given = handler.headers.get("Authorization", "").removeprefix("Bearer ")
    if not given:
        return None
    if given not in hub.tokens:
        raise Refused(401, "", "Invalid credentials in Authorization header")
    return hub.tokens[given]


_API = re.compile(r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?")
_LFS = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
_RESOLVE = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


def route(hub: LoopbackHub, handler: BaseHTTPRequestHandler, body: bytes) -> Answer:
    """Answer one request; raises Refused."""
    parts = urlsplit(handler.path)
    path, query = parts.path, {k: v[-1] for k, v in parse_qs(parts.query).items()}
    if path.startswith("/lfs/"):
        return _large(hub, handler, path, body)
    scope = _scope(hub, handler)
    if path == "/api/whoami-v2":
        if scope is None:
            raise Refused(401, "", "Unauthorized")
        return spaces.whoami(hub, handler.headers["Authorization"].removeprefix("Bearer "), scope)
    if path.startswith("/api/settings/webhooks"):
        return spaces.webhooks(hub, scope, handler.command, path, body)
    if path == "/api/repos/create":
        return _create(hub, scope, json.loads(body))
    if path == "/api/validate-yaml":
        return _validate(json.loads(body))
    if found := _API.fullmatch(path):
        kind, name, route, rest = found[1], found[2], found[3] or "", unquote(found[4] or "")
        repo = _allowed(hub, kind, name, scope, handler.command, route)
        return _API_ROUTES[route](hub, repo, rest, query, body, handler)
    if found := _LFS.fullmatch(path):
        kind = (found[1] or "models/")[:-2]
        return _batch(hub, _allowed(hub, kind, found[2], scope, "POST", "lfs"), found, json.loads(body))
    if found := _RESOLVE.fullmatch(path):
        kind = (found[1] or "models/")[:-2]
        repo = _allowed(hub, kind, found[2], scope, "GET", "resolve")
        return _resolve(hub, repo, unquote(found[3]), unquote(found[4]), handler)
    raise Refused(404, "", "no such route")


def _allowed(hub: LoopbackHub, kind: str, name: str, scope: str | None, method: str, route: str) -> Repo:
    try:
        repo = hub.repo(kind, name)
    except Refused:
        if scope is None:
            raise Refused(401, "RepoNotFound", "Repository not found") from None
        raise
    if repo.private and scope is None:
        raise Refused(401, "RepoNotFound", "Repository not found")
    writes = method in ("POST", "PUT", "DELETE") and route != "paths-info"
    if (writes or route in ("secrets", "variables")) and scope != "write":
        raise Refused(403, "", "You need write access")
    return repo


def _create(hub: LoopbackHub, scope: str | None, body: dict[str, Any]) -> Answer:
    if scope != "write":
        raise Refused(401 if scope is None else 403, "", "You need write access")
    kind, name = body.get("type") or "model", f"{body.get('organization') or 'loopback'}/{body['name']}"
    url = f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
    if (kind, name) in hub.repos:
        return 409, {}, json.dumps({"error": "exists already", "url": url}).encode()
    repo = hub.repos[kind, name] = Repo(body.get("visibility") == "private", hub.lfs_threshold)
    repo.begin(name if kind == "space" else None)
    return _json({"url": url, "name": name})


def _validate(body: dict[str, Any]) -> Answer:
    content = body["content"]
    if content.startswith("---\n") and "\n---\n" not in content[3:]:
        errors = {"errors": [{"message": "the front matter has no end"}], "warnings": []}
        return 400, {}, json.dumps(errors).encode()
    return _json({"errors": [], "warnings": []})


def _info(hub: LoopbackHub, repo: Repo, rest: str, *_: Any) -> Answer:
    commit = repo.revision(rest or "main")
    siblings = [{"rfilename": path} for path in sorted(commit.tree)]
    document = {"id": "repo", "sha": commit.sha, "private": repo.private, "siblings": siblings, "tags": []}
    return _json(document | ({"host": repo.host} if repo.host else {}))


def _refs(hub: LoopbackHub, repo: Repo, *_: Any) -> Answer:
    def listed(refs: dict[str, str], kind: str) -> list[dict[str, str]]:
        return [{"name": n, "ref": f"refs/{kind}/{n}", "targetCommit": sha} for n, sha in refs.items()]

    return _json(
        {"branches": listed(repo.branches, "heads"), "tags": listed(repo.tags, "tags"), "converts": []}
    )


def _page(
    hub: LoopbackHub,
    items: list[Any],
    query: dict[str, str],
    name: str,
    size: int,
    handler: BaseHTTPRequestHandler,
) -> Answer:
    start = int(query.get(name, 0))
    headers = {}
    if start + size < len(items):
        url = f"{hub.url}{urlsplit(handler.path).path}?{urlencode(query | {name: start + size})}"
        headers["Link"] = f'<{url}>; rel="next"'
    return _json(items[start : start + size], **headers)


def _commits(
    hub: LoopbackHub, repo: Repo, rest: str, query: Any, _: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    items = [
        {
            "id": c.sha,
            "title": c.title,
            "message": c.message,
            "date": c.date,
            "authors": [{"user": "loopback"}],
        }
        for c in repo.chain(rest)
    ]
    return _page(hub, items, query, "p", hub.page, handler)


def _tree(
    hub: LoopbackHub, repo: Repo, rest: str, query: Any, _: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    revision, _, folder = rest.partition("/")
    items = []
    for path, stored in sorted(repo.revision(revision).tree.items()):
        if folder and not path.startswith(folder + "/"):
            continue
        items.append(
            {"type": "file", "path": path, "oid": stored.oid, "size": stored.size} | _lfs_part(stored)
        )
    return _page(hub, items, query, "cursor", hub.page, handler)


def _lfs_part(stored: Any) -> dict[str, Any]:
    if not stored.lfs:
        return {}
    size = len(pointer(stored.lfs, stored.size))
    return {"lfs": {"oid": stored.lfs, "size": stored.size, "pointerSize": size}}


def _paths(
    hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    tree = repo.revision(rest).tree
    asked = parse_qs(body.decode()).get("paths", [])
    return _json(
        [
            {"type": "file", "path": p, "oid": tree[p].oid, "size": tree[p].size} | _lfs_part(tree[p])
            for p in asked
            if p in tree
        ]
    )


def _preupload(
    hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    return _json({"files": repo.preupload(rest, json.loads(body))})


def _commit(
    hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    header, *lines = (json.loads(line) for line in body.splitlines())
    operations = []
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            value = value | {"content": base64.b64decode(value["content"])}
        operations.append((line["key"], value))
    sha = repo.commit(rest, header["value"], operations)
    prefix = urlsplit(handler.path).path.split("/api/")[1].split("/commit/")[0].removeprefix("models/")
    return _json({"success": True, "commitOid": sha, "commitUrl": f"{hub.url}/{prefix}/commit/{sha}"})


def _tag(
    hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    if handler.command == "DELETE":
        repo.tags.pop(rest)
        return _json({})
    name = json.loads(body)["tag"]
    if name in repo.tags:
        raise Refused(409, "", "Tag reference exists already")
    repo.tags[name] = repo.revision(rest).sha
    return _json({})


def _branch(
    hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: BaseHTTPRequestHandler
) -> Answer:
    start = (json.loads(body) if body else {}).get("startingPoint") or "main"
    repo.branches[rest] = repo.revision(start).sha
    return _json({})


_API_ROUTES: dict[str, Callable[..., Answer]] = {
    "": _info, "revision": _info, "refs": _refs, "commits": _commits, "tree": _tree, "paths-info": _paths,
    "preupload": _preupload, "commit": _commit, "tag": _tag, "branch": _branch,
    "secrets": spaces.secrets, "variables": spaces.variables, "settings": spaces.settings,
}  # fmt: skip


def _batch(hub: LoopbackHub, repo: Repo, found: re.Match[str], body: dict[str, Any]) -> Answer:
    objects = []
    for item in body["objects"]:
        entry: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
        if item["oid"] not in repo.large:
            place = f"{hub.storage_url}/lfs/{(found[1] or 'models/')[:-2]}/{found[2]}/{item['oid']}"
            entry["actions"] = {"upload": {"href": place}, "verify": {"href": f"{place}/verify"}}
        objects.append(entry)
    return _json({"transfer": "basic", "objects": objects})


def _large(hub: LoopbackHub, handler: BaseHTTPRequestHandler, path: str, body: bytes) -> Answer:
    _, _, kind, org, name, oid, *verify = path.split("/")
    repo = hub.repo(kind, f"{org}/{name}")
    if handler.command == "GET":
        return _ranged(repo.large[oid], {"ETag": f'"{oid}"'}, handler)
    if verify:
        if len(repo.large.get(oid, b"")) != json.loads(body)["size"]:
            raise Refused(422, "", "the object is not here")
        return _json({})
    if hashlib.sha256(body).hexdigest() != oid:
        raise Refused(400, "", "the content is not what its name says")
    repo.large[oid] = body
    return 200, {}, b""


def _resolve(
    hub: LoopbackHub, repo: Repo, revision: str, path: str, handler: BaseHTTPRequestHandler
) -> Answer:
    stored = repo.file(revision, path)
    headers = {"X-Repo-Commit": repo.revision(revision).sha, "ETag": f'"{stored.oid}"'}
    if not stored.lfs:
        return _ranged(repo.content(stored), headers, handler)
    # As on the Hub, a large file lies elsewhere, and its address needs no token.
    kind, name = next(key for key, value in hub.repos.items() if value is repo)
    headers |= {
        "X-Linked-Etag": f'"{stored.lfs}"',
        "X-Linked-Size": str(stored.size),
        "Location": f"{hub.storage_url}/lfs/{kind}/{name}/{stored.lfs}",
    }
    return 302, headers, b""


def _ranged(content: bytes, headers: dict[str, str], handler: BaseHTTPRequestHandler) -> Answer:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    headers = headers | {"Accept-Ranges": "bytes"}
    if handler.command == "HEAD" or not found:
        return 200, headers | {"Content-Length": str(len(content))}, content
    start, end = int(found[1]), int(found[2] or len(content) - 1)
    if start >= len(content):
        return 416, headers | {"Content-Range": f"bytes */{len(content)}"}, b""
    part = content[start : end + 1]
    return 206, headers | {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(content)}"}, part
