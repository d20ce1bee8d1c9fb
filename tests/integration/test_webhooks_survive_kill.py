"""At least once, under one id: a sender that is killed, and two that drain side by side."""

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.deliveries import LEASE_S, WebhookOutbox
from fraud.webhooks.schedule import Outcome
from fraud.webhooks.sender import WebhookSender
from fraud.webhooks.signing import verify
from tests.unit.webhooks.conftest import DATA, SECRET, Clock, answer, endpoint, listening

DRAIN = """
import sys
from pathlib import Path
from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import WebhookClient
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import Endpoint, parse_address
from fraud.webhooks.messages import EVENT_TYPES
from fraud.webhooks.sender import WebhookSender
path, secret, *urls = sys.argv[1:]
endpoints = [
    Endpoint(f"e{i}", parse_address(url, "url"), EVENT_TYPES, (secret,)) for i, url in enumerate(urls)
]
sender = WebhookSender(WebhookOutbox(Path(path), endpoints), WebhookClient(parse_policy("1")))
print("ready", flush=True)
sys.stdin.readline()
print(len(sender.drain().attempts), flush=True)
"""


def start(path: Path, *urls: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRAIN, path, SECRET, *urls],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_a_sender_killed_between_send_and_record_is_followed_by_one_that_sends_the_same(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite3"
    victims: list[subprocess.Popen[str]] = []

    def kill(handler) -> None:
        # The request is here in full; its sender dies before it learns that.
        os.kill(victims[0].pid, signal.SIGKILL)
        victims[0].wait(20)
        answer(200)(handler)

    with listening(kill, answer(200)) as receiver:
        there = endpoint("e0", receiver.url())
        outbox = WebhookOutbox(path, [there])
        sent = outbox.enqueue("model.promoted", DATA, datetime.now(UTC))
        victims.append(start(path, receiver.url()))
        output, _ = victims[0].communicate("go\n", timeout=60)
        assert victims[0].returncode == -signal.SIGKILL and output == ""
        clock = Clock(datetime.now(UTC))
        sender = WebhookSender(outbox, WebhookClient(parse_policy("1")), clock=clock)
        assert sender.drain().attempts == (), "its lease is not over"
        clock.advance(LEASE_S)
        assert sender.drain().count(Outcome.DELIVERED) == 1
        outbox.check()
        outbox.close()
        assert sent is not None and receiver.ids() == [sent.message_id] * 2
        assert receiver.requests[0].body == receiver.requests[1].body
        last = receiver.requests[1]
        assert verify(last.headers, last.body, (SECRET,), clock()).message_id == sent.message_id


def test_two_processes_that_drain_at_once_send_each_delivery_once(tmp_path) -> None:
    path = tmp_path / "outbox.sqlite3"
    with listening(answer(200)) as receiver:
        urls = [receiver.url("/0"), receiver.url("/1")]
        outbox = WebhookOutbox(path, [endpoint(f"e{i}", url) for i, url in enumerate(urls)])
        at = datetime.now(UTC) - timedelta(seconds=1)
        sent = [outbox.enqueue("model.promoted", DATA, at) for _ in range(30)]
        processes = [start(path, *urls) for _ in range(2)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        attempts = [int(process.communicate(timeout=60)[0]) for process in processes]
        counted = Counter((request.path, request.headers["webhook-id"]) for request in receiver.requests)
        assert counted == Counter(
            (f"/{i}", message.message_id) for i in range(2) for message in sent if message
        )
        assert sum(attempts) == 60
        assert {delivery.state for delivery in outbox.deliveries()} == {"delivered"}
        outbox.close()
