"""The loopback Hub's HTTP side: routes, tokens, faults and a log of what was asked."""

import base64
import hashlib
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.hub import spaces
from tests.hub.answers import Answer
from tests.hub.answers import as_json as _json
from tests.hub.storage import Refused, Repo, pointer

WRITE_TOKEN = "hf_loopback_write"  # noqa: S105 - known to nobody but the loopback Hub
READ_TOKEN = "hf_loopback_read"  # noqa: S105


@dataclass(frozen=True)
class Asked:
    """One request, as logged."""

    method: str
    url: str
    headers: dict[str, str]
    status: int | None  # None: the connection was dropped


@dataclass
class Fault:
    """What goes wrong where; `times` None means always, `share` of the requests that match."""

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: str = ""  # "before" or "after" the request took effect; "late": it does once the next one arrives
    times: int | None = 1
    share: float = 1.0

    def hits(self, method: str, path: str, chance: random.Random) -> bool:
        if self.times == 0 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if self.share < 1.0 and chance.random() >= self.share:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class LoopbackHub:
    """A Hub on 127.0.0.1, in memory; a context manager."""

    def __init__(self, lfs_threshold: int = 1 << 20, page: int = 50, seed: int = 7) -> None:
        self.tokens = {WRITE_TOKEN: "write", READ_TOKEN: "read"}
        self.fine: dict[str, dict[str, Any]] = {}  # token -> what whoami says of it besides its role
        self.repos: dict[tuple[str, str], Repo] = {}
        self.webhooks: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.late: list[tuple[str, bytes]] = []
        self.log: list[Asked] = []
        self.lock = threading.RLock()
        self.chance = random.Random(seed)  # noqa: S311 - reproducible faults
        self.lfs_threshold, self.page = lfs_threshold, page
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def storage_url(self) -> str:
        """Where large files lie: as on the Hub another origin, that must not see the token."""
        return f"http://localhost:{self._port}"

    def __enter__(self) -> "LoopbackHub":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the port of last time if there was one."""
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = _Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop answering; what is stored stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.drop_all()
            self._server.server_close()
            self._server = None

    def fault(self, method: str, path: str, **what: Any) -> Fault:
        """Let something go wrong from now on."""
        fault = Fault(method, path, **what)
        self.faults.append(fault)
        return fault

    @contextmanager
    def logged(self) -> Any:
        """Collect what is asked inside the block."""
        start = len(self.log)
        asked: list[Asked] = []
        yield asked
        asked.extend(self.log[start:])

    def repo(self, repo_type: str, repo_id: str) -> Repo:
        found = self.repos.get((repo_type, repo_id))
        if found is None:
            raise Refused(404, "RepoNotFound", "Repository not found")
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop_all(self) -> None:
        """End the connections that clients keep open."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet; the log is `LoopbackHub.log`."""

    def _serve(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        with self.hub.lock:
            faults = [f for f in self.hub.faults if f.hits(self.command, path, self.hub.chance)]
        with self.hub.lock:
            late = [entry for entry in self.hub.late if entry[0] == self.path]
            self.hub.late = [entry for entry in self.hub.late if entry not in late]
        for _, delayed in late:
            self._answer(delayed)
        for fault in faults:
            time.sleep(fault.delay_s)
            if fault.drop == "late":
                self.hub.late.append((self.path, body))
                return self._drop()
            if fault.drop == "before":
                return self._drop()
            if fault.status is not None and not fault.drop:
                return self._send((fault.status, fault.headers, b""))
        answer = self._answer(body)
        for fault in faults:
            if fault.drop == "after":
                return (
                    self._drop() if fault.status is None else self._send((fault.status, fault.headers, b""))
                )
        return self._send(answer)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, body: bytes) -> Answer:
        try:
            with self.hub.lock:
                return _route(self.hub, self, body)
        except Refused as refused:
            headers = {"X-Error-Message": refused.message}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            return refused.status, headers, json.dumps({"error": refused.message}).encode()

    def _drop(self) -> None:
        self._note(None)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, answer: Answer) -> None:
        status, headers, content = answer
        self._note(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _note(self, status: int | None) -> None:
        self.hub.log.append(Asked(self.command, self.path, dict(self.headers), status))


def _scope(hub: LoopbackHub, handler: _Handler) -> str | None:
    given = handler.headers.get("Authorization", "").removeprefix("Bearer ")
    if not given:
        return None
    if given not in hub.tokens:
        raise Refused(401, "", "Invalid credentials in Authorization header")
    return hub.tokens[given]


_API = re.compile(r"/api/(model|dataset|space)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?")
_LFS = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch")
_RESOLVE = re.compile(r"/(datasets/|spaces/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


def _route(hub: LoopbackHub, handler: _Handler, body: bytes) -> Answer:
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
        return _resolve(repo, unquote(found[3]), unquote(found[4]), handler)
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
    hub: LoopbackHub, items: list[Any], query: dict[str, str], name: str, size: int, handler: _Handler
) -> Answer:
    start = int(query.get(name, 0))
    headers = {}
    if start + size < len(items):
        url = f"{hub.url}{urlsplit(handler.path).path}?{urlencode(query | {name: start + size})}"
        headers["Link"] = f'<{url}>; rel="next"'
    return _json(items[start : start + size], **headers)


def _commits(hub: LoopbackHub, repo: Repo, rest: str, query: Any, _: bytes, handler: _Handler) -> Answer:
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


def _tree(hub: LoopbackHub, repo: Repo, rest: str, query: Any, _: bytes, handler: _Handler) -> Answer:
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


def _paths(hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: _Handler) -> Answer:
    tree = repo.revision(rest).tree
    asked = parse_qs(body.decode()).get("paths", [])
    return _json(
        [
            {"type": "file", "path": p, "oid": tree[p].oid, "size": tree[p].size} | _lfs_part(tree[p])
            for p in asked
            if p in tree
        ]
    )


def _preupload(hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: _Handler) -> Answer:
    return _json({"files": repo.preupload(rest, json.loads(body))})


def _commit(hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: _Handler) -> Answer:
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


def _tag(hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: _Handler) -> Answer:
    if handler.command == "DELETE":
        repo.tags.pop(rest)
        return _json({})
    name = json.loads(body)["tag"]
    if name in repo.tags:
        raise Refused(409, "", "Tag reference exists already")
    repo.tags[name] = repo.revision(rest).sha
    return _json({})


def _branch(hub: LoopbackHub, repo: Repo, rest: str, _: Any, body: bytes, handler: _Handler) -> Answer:
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


def _large(hub: LoopbackHub, handler: _Handler, path: str, body: bytes) -> Answer:
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


def _resolve(repo: Repo, revision: str, path: str, handler: _Handler) -> Answer:
    stored = repo.file(revision, path)
    headers = {"X-Repo-Commit": repo.revision(revision).sha, "ETag": f'"{stored.oid}"'}
    if not stored.lfs:
        return _ranged(repo.content(stored), headers, handler)
    # As on the Hub, a large file lies elsewhere, and its address needs no token.
    kind, name = next(key for key, value in handler.hub.repos.items() if value is repo)
    headers |= {
        "X-Linked-Etag": f'"{stored.lfs}"',
        "X-Linked-Size": str(stored.size),
        "Location": f"{handler.hub.storage_url}/lfs/{kind}/{name}/{stored.lfs}",
    }
    return 302, headers, b""


def _ranged(content: bytes, headers: dict[str, str], handler: _Handler) -> Answer:
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
    headers = headers | {"Accept-Ranges": "bytes"}
    if handler.command == "HEAD" or not found:
        return 200, headers | {"Content-Length": str(len(content))}, content
    start, end = int(found[1]), int(found[2] or len(content) - 1)
    if start >= len(content):
        return 416, headers | {"Content-Range": f"bytes */{len(content)}"}, b""
    part = content[start : end + 1]
    return 206, headers | {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(content)}"}, part
