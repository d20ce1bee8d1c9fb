"""`python -m fraud webhooks ...`: each action against a receiver on loopback."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.settings import read_settings
from fraud.wiring import webhook_outbox
from tests.unit.webhooks.conftest import DATA, SECRET, Receiver, answer


@pytest.fixture
def receiver(receive: Callable[..., Receiver]) -> Receiver:
    return receive(answer(200))


@pytest.fixture
def home(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "hooks.toml"
    config.write_text(
        f'[[endpoint]]\nname = "node-a"\nurl = "{receiver.url("/hook?key=k3y")}"\nsecrets = ["{SECRET}"]\n'
    )
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))
    monkeypatch.setenv("FRAUD_WEBHOOKS", str(config))
    monkeypatch.setenv("FRAUD_WEBHOOK_ALLOW_PRIVATE", "1")
    return tmp_path / "feedback"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["webhooks", *arguments])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err and "k3y" not in said.out + said.err
        return code, said.out + said.err

    return run


def enqueue() -> str:
    outbox = webhook_outbox(read_settings())
    sent = outbox.enqueue("model.promoted", DATA, datetime.now(UTC))
    outbox.close()
    assert sent is not None
    return sent.message_id


def test_before_the_first_message_nothing_is_made(run, home) -> None:
    code, said = run("list")
    assert code == 0 and said.endswith("nothing was sent yet\n") and "node-a" in said
    assert run("send-pending") == (0, "nothing is due\n")
    assert run("replay", "--failed") == (0, "nothing to replay\n")
    assert not home.exists()


def test_what_is_pending_is_sent_and_listed_in_aligned_columns(run, receiver) -> None:
    first, second = enqueue(), enqueue()
    code, said = run("send-pending")
    assert code == 0 and said.endswith("2 of 2 delivered\n") and receiver.ids() == [first, second]
    code, said = run("list")
    endpoints, deliveries = said.split("\n\n")
    assert endpoints.split() == [
        "ENDPOINT", "ADDRESS", "EVENTS", "SECRETS", "STATE", "node-a", f"http://127.0.0.1:{receiver.port}",
        "model.promoted,model.rolled_back,alert.firing,alert.resolved,gate.refused", "1", "on",
    ]  # fmt: skip
    header, newest, oldest = deliveries.splitlines()
    assert newest.startswith(second) and oldest.startswith(first)
    assert newest[header.index("STATE") :].split() == ["delivered", "1", newest.split()[6], "-", "200"]
    assert run("list", "--failed")[1].endswith("nothing failed\n")


def test_a_refusal_is_exit_1_and_is_listed_with_its_answer(run, receiver) -> None:
    receiver.scripts[:] = [answer(500, b"out of order")]
    enqueue()
    code, said = run("send-pending")
    assert code == 1 and "retry  500 out of order" in said and said.endswith("0 of 1 delivered\n")
    code, said = run("list", "--failed")
    assert code == 0 and "500 out of order" in said and "pending" in said


def test_replay_makes_due_and_send_pending_sends(run, receiver) -> None:
    message_id = enqueue()
    run("send-pending")
    assert run("replay", message_id) == (0, "1 deliveries are due now\n")
    assert run("send-pending")[0] == 0
    assert receiver.ids() == [message_id] * 2
    assert run("replay", "--endpoint", "node-a") == (0, "1 deliveries are due now\n")
    assert run("replay", "--failed") == (0, "nothing to replay\n")


def test_a_gone_endpoint_is_named_until_it_is_enabled(run, receiver) -> None:
    receiver.scripts[:] = [answer(410), answer(200)]
    enqueue()
    assert run("send-pending")[0] == 1
    assert "disabled 20" in run("list")[1]
    code, said = run("replay", "--failed")
    assert code == 0 and said.startswith("nothing to replay\nnode-a is disabled")
    code, said = run("enable", "node-a")
    assert code == 0 and "1 failed meanwhile" in said
    assert run("enable", "node-a")[1].startswith("node-a is on already")
    assert run("replay", "--failed")[1] == "1 deliveries are due now\n"
    assert run("send-pending")[0] == 0


def test_test_says_what_the_endpoint_answered(run, receiver, home) -> None:
    assert run("test", "node-a") == (0, "node-a: 200\n")
    receiver.scripts[:] = [answer(404)]
    assert run("test", "node-a") == (1, "node-a: 404\n")
    assert b'"webhook.ping"' in receiver.requests[0].body and not home.exists()


def test_a_private_address_is_refused_until_it_is_opened(run, receiver, monkeypatch) -> None:
    monkeypatch.delenv("FRAUD_WEBHOOK_ALLOW_PRIVATE")
    code, said = run("test", "node-a")
    assert code == 1 and "FRAUD_WEBHOOK_ALLOW_PRIVATE" in said and receiver.requests == []


@pytest.mark.parametrize(
    "arguments",
    [["test", "none"], ["enable", "none"], ["replay", "msg_none"], ["replay", "--endpoint", "none"]],
)
def test_what_is_not_there_is_one_sentence_and_exit_2(run, arguments) -> None:
    code, said = run(*arguments)
    assert code == 2 and said.startswith("error: There is no ") and said.count("\n") == 1


def test_without_any_endpoint_the_list_says_how_to_name_one(run, monkeypatch) -> None:
    monkeypatch.delenv("FRAUD_WEBHOOKS")
    assert run("list")[1].startswith("no endpoint; FRAUD_WEBHOOKS")


def test_settings_keep_secrets_out_of_their_repr(home, monkeypatch) -> None:
    monkeypatch.setenv("FRAUD_WEBHOOKS", "https://a.example/k3y")
    monkeypatch.setenv("FRAUD_WEBHOOK_SECRETS", f"{SECRET}, other")
    settings = read_settings().webhooks
    assert settings.secrets == (SECRET, "other") and settings.directory == home / "webhooks"
    assert SECRET not in repr(settings) and "k3y" not in repr(settings)
