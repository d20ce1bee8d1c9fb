import json
import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from fraud.errors import NotFound, OutboxFull, StorageError
from fraud.webhooks.addresses import parse_policy
from fraud.webhooks.client import Timeouts, WebhookClient
from fraud.webhooks.deliveries import LEASE_S
from fraud.webhooks.schedule import DELAYS_S, Outcome
from fraud.webhooks.signing import verify
from tests.unit.webhooks.conftest import DATA, NOW, PREVIOUS, SECRET, answer, endpoint, reset


def outcomes(report) -> list[Outcome]:
    return [attempt.outcome for attempt in report.attempts]


def test_making_an_outbox_and_draining_it_empty_touch_no_disk(make_outbox, make_sender, tmp_path) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"))
    assert make_sender(outbox).drain().attempts == ()
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_nobody_wants_is_not_kept(make_outbox, tmp_path) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/", events=("alert.firing",)))
    assert outbox.enqueue("model.promoted", DATA, NOW) is None
    assert list(tmp_path.iterdir()) == []


def test_a_message_reaches_who_asked_for_it_and_the_library_verifies_it(
    make_outbox, make_sender, receive, clock
) -> None:
    receiver = receive()
    clock.now = datetime.now(UTC)  # the library asks the system's clock
    outbox = make_outbox(
        endpoint("a", receiver.url("/a"), SECRET, PREVIOUS),
        endpoint("b", receiver.url("/b"), events=("alert.firing",)),
    )
    sent = outbox.enqueue("model.promoted", DATA, clock())
    assert sent is not None and sent.endpoints == ("a",)
    assert outcomes(make_sender(outbox).drain()) == [Outcome.DELIVERED]
    (request,) = receiver.requests
    assert request.path == "/a" and request.headers["webhook-id"] == sent.message_id
    for secret in (SECRET, PREVIOUS):
        document = Webhook(secret).verify(request.body, request.headers)
        assert document["data"] == {**DATA, "sequence": sent.sequence}
    assert make_sender(outbox).drain().attempts == ()


def test_a_failure_is_tried_again_with_the_same_id_and_body_and_a_new_time(
    make_outbox, make_sender, receive, clock
) -> None:
    receiver = receive(answer(500), answer(200))
    outbox = make_outbox(endpoint("a", receiver.url()))
    outbox.enqueue("model.promoted", DATA, NOW)
    sender = make_sender(outbox)
    assert outcomes(sender.drain()) == [Outcome.RETRY]
    clock.advance(4.9)
    assert sender.drain().attempts == ()
    clock.advance(0.1)
    assert outcomes(sender.drain()) == [Outcome.DELIVERED]
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] and first.body == second.body
    stamps = [int(request.headers["webhook-timestamp"]) for request in (first, second)]
    assert stamps == [int(NOW.timestamp()), int(NOW.timestamp()) + 5]
    assert verify(second.headers, second.body, (SECRET,), clock())


def test_after_the_whole_schedule_a_message_is_given_up_and_that_is_written_down(
    make_outbox, make_sender, receive, clock
) -> None:
    receiver = receive(answer(500, b"broken"))
    outbox = make_outbox(endpoint("a", receiver.url()))
    outbox.enqueue("model.promoted", DATA, NOW)
    sender = make_sender(outbox)
    seen = []
    for delay in DELAYS_S:
        clock.advance(delay)
        seen += outcomes(sender.drain())
    assert seen == [Outcome.RETRY] * 9 + [Outcome.GIVEN_UP]
    (delivery,) = outbox.deliveries(failed=True)
    assert (delivery.state, delivery.attempts, delivery.status, delivery.problem) == (
        "failed",
        10,
        500,
        "broken",
    )
    clock.advance(1e6)
    assert sender.drain().attempts == ()


def test_410_disables_an_endpoint_until_it_is_enabled(make_outbox, make_sender, receive, clock) -> None:
    receiver = receive(answer(410), answer(200))
    outbox = make_outbox(endpoint("a", receiver.url()))
    outbox.enqueue("model.promoted", DATA, NOW)
    outbox.enqueue("model.rolled_back", DATA, NOW)
    sender = make_sender(outbox)
    assert outcomes(sender.drain()) == [Outcome.GONE]
    assert outbox.disabled() == {"a": NOW}
    outbox.enqueue("model.promoted", DATA, NOW)
    clock.advance(1e6)
    assert sender.drain().attempts == () and len(receiver.requests) == 1
    assert [d.problem for d in outbox.deliveries(failed=True)] == ["the endpoint is disabled"] * 2 + [""]
    assert outbox.replay(clock(), endpoint="a") == 0, "a disabled endpoint is left alone"
    assert outbox.enable("a") and not outbox.enable("a")
    assert sender.drain().attempts == (), "enabling sends nothing old by itself"
    assert outbox.replay(clock(), endpoint="a", failed=True) == 3
    assert outcomes(sender.drain()) == [Outcome.DELIVERED] * 3


def test_retry_after_pauses_the_endpoint_for_every_message(make_outbox, make_sender, receive, clock) -> None:
    receiver = receive(answer(429, Retry_After="3600"), answer(200))
    outbox = make_outbox(endpoint("a", receiver.url()))
    for _ in range(3):
        outbox.enqueue("model.promoted", DATA, clock())
    sender = make_sender(outbox)
    assert outcomes(sender.drain()) == [Outcome.RETRY]
    clock.advance(3_599)
    assert sender.drain().attempts == () and outbox.held(clock()) == {"a": NOW + timedelta(hours=1)}
    clock.advance(1)
    assert outcomes(sender.drain()) == [Outcome.DELIVERED] * 3


def test_a_refused_message_does_not_keep_the_next_one_waiting(make_outbox, make_sender, receive) -> None:
    receiver = receive(answer(400), answer(200))
    outbox = make_outbox(endpoint("a", receiver.url()))
    outbox.enqueue("model.promoted", DATA, NOW)
    outbox.enqueue("model.rolled_back", DATA, NOW)
    assert outcomes(make_sender(outbox).drain()) == [Outcome.RETRY, Outcome.DELIVERED]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_overloaded_endpoint_has_no_more_of_this_drain(make_outbox, make_sender, receive, status) -> None:
    receiver = receive(answer(status))
    outbox = make_outbox(endpoint("a", receiver.url()))
    for _ in range(5):
        outbox.enqueue("model.promoted", DATA, NOW)
    assert outcomes(make_sender(outbox).drain()) == [Outcome.RETRY]
    assert len(receiver.requests) == 1


def test_a_dead_endpoint_delays_no_other(make_outbox, make_sender, receive) -> None:
    alive_has_all = threading.Event()
    dead_ended = []

    def hang(handler) -> None:
        # Would wait for ever if the other endpoint's messages came after this one's end.
        dead_ended.append(alive_has_all.wait(20))

    alive = receive()

    def count(handler) -> None:
        answer(200)(handler)
        if len(alive.requests) == 5:
            alive_has_all.set()

    alive.scripts[:] = [count]
    dead = receive(hang)
    outbox = make_outbox(endpoint("dead", dead.url()), endpoint("alive", alive.url()))
    for _ in range(5):
        outbox.enqueue("model.promoted", DATA, NOW)
    client = WebhookClient(parse_policy("1"), Timeouts(silence_s=30, total_s=30))
    report = make_sender(outbox, client).drain()
    assert dead_ended == [True] and report.count(Outcome.DELIVERED) == 5 and len(report.attempts) == 6


def test_a_reset_before_or_after_the_handler_is_sent_again_under_the_same_id(
    make_outbox, make_sender, receive, clock
) -> None:
    receiver = receive(lambda handler: reset(handler.connection), answer(200))
    receiver.reset_connections = 1
    outbox = make_outbox(endpoint("a", receiver.url()))
    sent = outbox.enqueue("model.promoted", DATA, NOW)
    sender = make_sender(outbox)
    assert outcomes(sender.drain()) == [Outcome.RETRY] and receiver.requests == []
    clock.advance(5)
    assert outcomes(sender.drain()) == [Outcome.RETRY] and len(receiver.requests) == 1
    clock.advance(300)
    assert outcomes(sender.drain()) == [Outcome.DELIVERED]
    assert sent is not None and receiver.ids() == [sent.message_id] * 2


def test_a_claimed_delivery_is_nobody_elses_until_its_lease_runs_out(make_outbox, clock) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"))
    outbox.enqueue("model.promoted", DATA, NOW)
    first = outbox.claim("a", clock(), clock())
    assert first is not None and outbox.claim("a", clock(), clock()) is None
    clock.advance(LEASE_S - 1)
    assert outbox.claim("a", clock(), clock()) is None
    clock.advance(1)
    second = outbox.claim("a", clock(), clock())
    assert second is not None and (second.message_id, second.body) == (first.message_id, first.body)
    assert (first.attempt, second.attempt) == (1, 2)


def test_who_lost_its_lease_may_report_success_but_no_failure(make_outbox, clock) -> None:
    from fraud.webhooks.schedule import Answer, judge

    outbox = make_outbox(endpoint("a", "https://a.test/"))
    outbox.enqueue("model.promoted", DATA, NOW)
    first = outbox.claim("a", clock(), clock())
    clock.advance(LEASE_S)
    second = outbox.claim("a", clock(), clock())
    assert first is not None and second is not None
    for answer_, state in ((Answer(500), "pending"), (Answer(200), "delivered")):
        outbox.record(first, answer_, judge(answer_, 1, clock(), lambda: 0.0), clock())
        assert outbox.deliveries()[0].state == state
    outbox.record(second, Answer(500), judge(Answer(500), 2, clock(), lambda: 0.0), clock())
    assert outbox.deliveries()[0].state == "delivered", "a delivered message stays so"


def test_sequences_grow_per_topic_even_when_the_clock_does_not_and_the_file_is_lost(
    make_outbox, tmp_path
) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"))
    times = [NOW, NOW, NOW - timedelta(days=1), NOW + timedelta(seconds=1)]
    numbers = [outbox.enqueue("model.promoted", DATA, at).sequence for at in times]
    assert numbers == sorted(set(numbers))
    assert outbox.enqueue("alert.firing", {}, NOW).sequence == numbers[0], "another topic counts for itself"
    outbox.close()
    for path in (tmp_path / "webhooks").iterdir():
        path.unlink()
    again = make_outbox(endpoint("a", "https://a.test/"))
    assert again.enqueue("model.promoted", DATA, NOW + timedelta(minutes=1)).sequence > numbers[-1]


def test_replay_sends_a_delivered_message_again_under_its_id(
    make_outbox, make_sender, receive, clock
) -> None:
    receiver = receive()
    outbox = make_outbox(endpoint("a", receiver.url("/a")), endpoint("b", receiver.url("/b")))
    first, second = (outbox.enqueue("model.promoted", DATA, NOW) for _ in range(2))
    sender = make_sender(outbox)
    sender.drain()
    assert outbox.replay(clock(), message_id=first.message_id) == 2
    assert outbox.replay(clock(), message_id=second.message_id, endpoint="b") == 1
    assert outbox.replay(clock(), failed=True) == 0
    sender.drain()
    assert sorted(receiver.ids()) == sorted([first.message_id] * 4 + [second.message_id] * 3)
    with pytest.raises(NotFound):
        outbox.replay(clock(), message_id="msg_none")
    with pytest.raises(NotFound):
        outbox.replay(clock(), endpoint="none")


def test_a_full_outbox_refuses_and_gives_no_sequence_away(make_outbox) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"), max_backlog=2)
    numbers = [outbox.enqueue("model.promoted", DATA, NOW).sequence for _ in range(2)]
    with pytest.raises(OutboxFull):
        outbox.enqueue("model.promoted", DATA, NOW)
    assert numbers[1] == numbers[0] + 1 and len(outbox.deliveries()) == 2


def test_what_is_older_than_a_month_is_forgotten(make_outbox) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"))
    old = outbox.enqueue("model.promoted", DATA, NOW)
    new = outbox.enqueue("model.promoted", DATA, NOW + timedelta(days=31))
    assert [delivery.message_id for delivery in outbox.deliveries()] == [new.message_id]
    assert new.sequence > old.sequence


def test_no_secret_and_no_address_is_in_the_file_or_in_a_repr(
    make_outbox, make_sender, receive, tmp_path
) -> None:
    receiver = receive(answer(500, b"no"))
    there = endpoint("a", receiver.url("/hook-with-key?token=t0ken"), SECRET, PREVIOUS)
    outbox = make_outbox(there)
    outbox.enqueue("model.promoted", DATA, NOW)
    make_sender(outbox).drain()
    outbox.close()
    content = b"".join(path.read_bytes() for path in (tmp_path / "webhooks").iterdir())
    assert b"model.promoted" in content
    for secret in (SECRET, PREVIOUS, "hook-with-key", "t0ken"):
        assert secret.removeprefix("whsec_").encode() not in content
        assert secret not in repr(there) + str(there.address) + repr(outbox.deliveries())


def test_what_could_not_be_recorded_is_sent_again(
    make_outbox, make_sender, receive, clock, monkeypatch
) -> None:
    receiver = receive()
    outbox = make_outbox(endpoint("a", receiver.url()))
    outbox.enqueue("model.promoted", DATA, NOW)
    sender = make_sender(outbox)

    def full(*arguments: object) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(StorageError):
        patch.setattr(type(outbox), "record", full)
        sender.drain()
    assert sender.drain().attempts == (), "its lease is not over"
    clock.advance(LEASE_S)
    assert outcomes(sender.drain()) == [Outcome.DELIVERED]
    assert len(set(receiver.ids())) == 1 and len(receiver.ids()) == 2


def test_a_ping_is_signed_sent_once_and_not_kept(make_outbox, make_sender, receive, tmp_path) -> None:
    receiver = receive(answer(500), answer(200))
    outbox = make_outbox(endpoint("a", receiver.url(), events=("alert.firing",)))
    assert make_sender(outbox).ping("a").status == 500
    (request,) = receiver.requests
    assert verify(request.headers, request.body, (SECRET,), NOW).type == "webhook.ping"
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_format_is_refused(make_outbox, tmp_path) -> None:
    make_outbox(endpoint("a", "https://a.test/")).enqueue("model.promoted", DATA, NOW)
    with sqlite3.connect(tmp_path / "webhooks" / "outbox.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="has format 99"):
        make_outbox(endpoint("a", "https://a.test/")).enqueue("model.promoted", DATA, NOW)


def test_the_body_of_a_message_is_thin(make_outbox) -> None:
    outbox = make_outbox(endpoint("a", "https://a.test/"))
    sent = outbox.enqueue("model.promoted", DATA, NOW)
    body = json.loads(outbox.claim("a", NOW, NOW).body)
    assert body == {
        "type": "model.promoted",
        "timestamp": "2026-11-22T12:00:00.000Z",
        "data": {**DATA, "sequence": sent.sequence},
    }
