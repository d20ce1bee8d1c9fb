import ssl
import subprocess
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import Timeouts, WebhookClient
from fraud.webhooks.endpoints import parse_address
from fraud.webhooks.schedule import Answer
from tests.unit.webhooks.conftest import Receiver, answer, handler_for

HEADERS = {"webhook-id": "msg_1"}


class Ticking:
    """A monotonic clock that moves a second each time it is read."""

    seconds = 0.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


def post(url: str, client: WebhookClient | None = None) -> Answer:
    return (client or WebhookClient(parse_policy("1"))).post(parse_address(url, "url"), HEADERS, '{"a":1}')


def test_a_request_carries_the_body_the_headers_and_the_name(receive) -> None:
    receiver = receive()
    assert post(receiver.url("/hook?key=1")) == Answer(200)
    (request,) = receiver.requests
    assert (request.path, request.body) == ("/hook?key=1", b'{"a":1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json" and request.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(receive, status: int) -> None:
    inside = receive()
    outside = receive(answer(status, Location=inside.url("/secret")))
    assert post(outside.url()).status == status
    assert inside.requests == [] and len(outside.requests) == 1


def test_an_excerpt_of_a_refusal_is_kept_and_cannot_steer_a_terminal(receive) -> None:
    said = post(receive(answer(500, b"\x1b[31mno\r\nway \xff" + b"x" * 500)).url())
    assert said.problem.startswith("[31mno way �xxx") and len(said.problem) == 160
    assert said.problem.isprintable()


def test_of_a_huge_body_no_more_than_a_piece_is_read(receive) -> None:
    sent = []
    done = threading.Event()

    def huge(handler) -> None:
        handler.send_response(500)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        try:
            while True:
                sent.append(handler.wfile.write(b"x" * 65_536))
        finally:
            done.set()

    assert post(receive(huge).url()).problem == "x" * 159 + "…"
    assert done.wait(20), "the connection stayed open"
    assert sum(sent) < 64_000_000, "only what buffers hold was sent"


def test_a_server_that_never_comes_to_its_answer_meets_the_time_for_everything(receive) -> None:
    ended = threading.Event()

    def drip(handler) -> None:
        # Never silent, so no limit between two reads ends this.
        try:
            while True:
                handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        finally:
            ended.set()

    client = WebhookClient(parse_policy("1"), Timeouts(total_s=20), monotonic=Ticking())
    assert post(receive(drip).url(), client) == Answer(None, "no answer within 20 seconds")
    assert ended.wait(20), "the connection stayed open"


def test_a_header_without_an_end_is_no_answer(receive) -> None:
    def endless(handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            handler.wfile.write(b"x: 1\r\n")

    assert post(receive(endless).url()).problem.startswith("no answer: ")


def test_a_server_that_drips_its_body_costs_only_the_excerpt(receive) -> None:
    def drip(handler) -> None:
        handler.send_response(503)
        handler.send_header("Content-Length", "1000000")
        handler.send_header("Retry-After", "7")
        handler.end_headers()
        while True:
            handler.wfile.write(b".")

    client = WebhookClient(parse_policy("1"), Timeouts(total_s=8), monotonic=Ticking())
    said = post(receive(drip).url(), client)
    assert (said.status, said.retry_after) == (503, "7") and set(said.problem) <= {".", "…"}


def test_a_server_that_says_nothing_is_given_its_silence(receive) -> None:
    release = threading.Event()
    client = WebhookClient(parse_policy("1"), Timeouts(silence_s=0.05))
    said = post(receive(lambda handler: release.wait(20)).url(), client)
    release.set()
    assert said.status is None and said.problem.startswith("no answer within")


def test_a_silence_ends_with_the_time_for_everything(receive) -> None:
    release = threading.Event()
    client = WebhookClient(parse_policy("1"), Timeouts(silence_s=30, total_s=0.2))
    # Left alone, the receiver would hang up, which is another answer.
    said = post(receive(lambda handler: release.wait(5)).url(), client)
    release.set()
    assert said == Answer(None, "no answer within 0.2 seconds")


def test_a_connection_that_is_reset_is_no_answer(receive) -> None:
    receiver = receive()
    receiver.reset_connections = 1
    assert post(receiver.url()).status is None and receiver.requests == []


def test_a_port_where_nobody_listens_is_no_answer() -> None:
    assert post("http://127.0.0.1:1/").problem.startswith("no answer: ")


def test_what_is_no_http_is_no_answer(receive) -> None:
    assert post(receive(lambda handler: handler.wfile.write(b"220 mail\r\n\r\n")).url()).status is None


def test_a_name_that_is_unknown_is_no_answer() -> None:
    def unknown(host: str, port: int) -> tuple[str, ...]:
        raise OSError("Name or service not known")

    said = post("https://node.test/", WebhookClient(parse_policy(""), resolve=unknown))
    assert said == Answer(None, "the name node.test was not found (Name or service not known)")


def test_the_machine_itself_is_refused_until_it_is_opened(receive) -> None:
    receiver = receive()
    said = post(receiver.url(), WebhookClient(parse_policy("")))
    assert said.problem.startswith("refused: 127.0.0.1 is not a public address")
    for disguise in ("127.1", "0x7f.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "localhost"):
        url = receiver.url().replace("127.0.0.1", disguise)
        assert post(url, WebhookClient(parse_policy(""))).problem.startswith("refused"), disguise
    assert receiver.requests == []
    assert post(receiver.url(), WebhookClient(parse_policy("127.0.0.0/8"))) == Answer(200)


def test_a_name_is_resolved_once_and_its_checked_address_is_used(receive) -> None:
    receiver = receive()
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    asked = []

    def rebinding(host: str, port: int) -> tuple[str, ...]:
        asked.append((host, port))
        return answers[len(asked) - 1]

    client = WebhookClient(parse_policy("1"), resolve=rebinding)
    assert post(f"http://node.test:{receiver.port}/", client) == Answer(200)
    assert asked == [("node.test", receiver.port)]
    assert receiver.requests[0].headers["host"] == f"node.test:{receiver.port}"
    # The name points elsewhere by now: the next attempt is refused, not sent.
    assert "metadata" in post(f"http://node.test:{receiver.port}/", client).problem
    assert len(receiver.requests) == 1


def test_an_address_that_does_not_answer_leaves_the_next_one(receive) -> None:
    receiver = receive()
    client = WebhookClient(parse_policy("1"), resolve=lambda host, port: ("::1", "127.0.0.1"))
    assert post(receiver.url().replace("127.0.0.1", "node.test"), client) == Answer(200)


def test_no_proxy_of_the_environment_is_asked(receive, monkeypatch) -> None:
    receiver, proxy = receive(), receive()
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert post(receiver.url()) == Answer(200) and proxy.requests == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "node.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=node.test", "-addext", "subjectAltName=DNS:node.test", "-days", "2",
         "-keyout", path, "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    return path


def test_over_tls_the_name_is_kept_and_checked_though_its_address_is_dialled(certificate: Path) -> None:
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, around: names.append(name)
    receiver = Receiver(scripts=[answer(200)])
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(receiver))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    port = server.server_address[1]
    client = WebhookClient(
        parse_policy("1"),
        resolve=lambda host, port: ("127.0.0.1",),
        tls=lambda: ssl.create_default_context(cafile=certificate),
    )
    try:
        assert post(f"https://node.test:{port}/", client) == Answer(200)
        assert names == ["node.test"] and receiver.requests[0].headers["host"] == f"node.test:{port}"
        assert "CERTIFICATE_VERIFY_FAILED" in post(f"https://other.test:{port}/", client).problem
        stranger = WebhookClient(parse_policy("1"), resolve=lambda host, port: ("127.0.0.1",))
        assert "CERTIFICATE_VERIFY_FAILED" in post(f"https://node.test:{port}/", stranger).problem
        assert len(receiver.requests) == 1
    finally:
        server.shutdown()
        server.server_close()
