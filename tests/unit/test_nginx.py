"""The proxy before many nodes: shared, tried again once, and closed to what is each node's own."""

import http.server
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.demo import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (ROOT / "deploy" / "nginx" / "fraud.conf").read_text()
BINARY = os.environ.get("NGINX") or shutil.which("nginx")
real = pytest.mark.skipif(BINARY is None, reason="nginx is not installed (or NGINX=/path/to/it)")
_AROUND = """
daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    include {home}/fraud.conf;
}}
"""


def statements() -> list[str]:
    return re.findall(r"[^;{}]+[;{]", re.sub(r"#.*", "", CONFIG))


def test_the_braces_match_and_every_statement_ends() -> None:
    bare = re.sub(r"#.*", "", CONFIG)
    assert bare.count("{") == bare.count("}") == 5
    for line in filter(None, (line.strip() for line in bare.splitlines())):
        assert line[-1] in ";{}", line


def test_it_listens_on_this_machine_until_somebody_decides_otherwise() -> None:
    listens = [s.split()[1] for s in statements() if s.split()[0] == "listen"]
    assert listens == ["127.0.0.1:7880;"]


class _Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server.seen.append((self.path, self.headers.get("X-Forwarded-For"), body))  # type: ignore[attr-defined]
        said = str(server.server_port).encode()  # type: ignore[attr-defined]
        self.send_response(server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def nodes() -> Iterator[list[http.server.ThreadingHTTPServer]]:
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Node) for _ in range(2)]
    for server in servers:
        server.daemon_threads = True
        server.seen, server.status = [], 200  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def proxy(nodes: list[http.server.ThreadingHTTPServer], tmp_path: Path) -> Iterator[str]:
    port = free_port()
    text = CONFIG.replace("127.0.0.1:7880", f"127.0.0.1:{port}")
    for old, node in zip((7870, 7871), nodes, strict=True):
        assert f"127.0.0.1:{old}" in text
        text = text.replace(f"127.0.0.1:{old}", f"127.0.0.1:{node.server_port}")
    (tmp_path / "fraud.conf").write_text(text)
    (tmp_path / "nginx.conf").write_text(_AROUND.format(home=tmp_path))
    command = [str(BINARY), "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", "nginx.conf"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert checked.returncode == 0 and "warn" not in checked.stderr, checked.stderr
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def there() -> bool:
        try:
            return httpx.get(f"{url}/nothing").status_code == 404
        except httpx.HTTPError:
            return False

    wait_for(there)
    yield url
    process.terminate()
    process.wait(timeout=10)


@real
def test_requests_are_shared_and_carry_the_clients_address_only(
    proxy: str, nodes: list[http.server.ThreadingHTTPServer]
) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9"}
    answers = {httpx.post(f"{proxy}/v1/score", json={}, headers=forged).text for _ in range(8)}
    assert answers == {str(node.server_port) for node in nodes}
    said = {address for node in nodes for _, address, _ in node.seen}  # type: ignore[attr-defined]
    assert said == {"127.0.0.1"}


@real
def test_a_request_that_one_node_failed_goes_once_to_the_other(
    proxy: str, nodes: list[http.server.ThreadingHTTPServer]
) -> None:
    nodes[0].status = 503  # type: ignore[attr-defined]
    answers = [httpx.post(f"{proxy}/v1/score", json={"a": 1}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    nodes[1].status = 503  # type: ignore[attr-defined]
    before = sum(len(node.seen) for node in nodes)  # type: ignore[attr-defined]
    assert httpx.post(f"{proxy}/v1/score", json={"a": 1}).status_code in (502, 503)
    assert sum(len(node.seen) for node in nodes) - before <= 2  # type: ignore[attr-defined]


@real
@pytest.mark.parametrize("path", ["/metrics", "/webhooks/model", "/healthz", "/", "/v1/../metrics"])
def test_what_is_each_nodes_own_is_not_reached(
    proxy: str, nodes: list[http.server.ThreadingHTTPServer], path: str
) -> None:
    assert httpx.post(proxy + path, content=b"x").status_code == 404
    assert not any(node.seen for node in nodes)  # type: ignore[attr-defined]


@real
def test_a_body_that_is_too_large_never_reaches_a_node(
    proxy: str, nodes: list[http.server.ThreadingHTTPServer]
) -> None:
    assert httpx.post(f"{proxy}/v1/score", content=b"x" * 1_100_000).status_code == 413
    assert not any(node.seen for node in nodes)  # type: ignore[attr-defined]
