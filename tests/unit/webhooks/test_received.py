from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from fraud.errors import WebhookRefused
from fraud.webhooks.board import AcknowledgementBoard
from fraud.webhooks.messages import Message
from fraud.webhooks.received import KEPT_DAYS, ReceivedStore, Reception
from tests.unit.webhooks.conftest import NOW

D1, D2 = "1" * 64, "2" * 64


def message(message_id: str, sequence: object = None, event_type: str = "model.promoted") -> Message:
    return Message(message_id, NOW, event_type, NOW, {} if sequence is None else {"sequence": sequence})


@pytest.fixture
def store(tmp_path):
    store = ReceivedStore(tmp_path / "received.sqlite3", max_messages=3)
    yield store
    store.close()


def test_a_message_is_fresh_once_and_a_duplicate_ever_after(store, tmp_path) -> None:
    assert store.accept(message("m1", 5), NOW) is Reception.FRESH
    assert store.accept(message("m1", 5), NOW) is Reception.DUPLICATE
    restarted = ReceivedStore(tmp_path / "received.sqlite3")
    assert restarted.accept(message("m1", 5), NOW + timedelta(days=KEPT_DAYS)) is Reception.DUPLICATE
    restarted.close()


def test_a_message_that_comes_after_a_newer_one_of_its_topic_is_late(store) -> None:
    assert store.newest("model") is None
    assert store.accept(message("m1", 5), NOW) is Reception.FRESH
    assert store.accept(message("m2", 4, "model.rolled_back"), NOW) is Reception.LATE
    assert store.accept(message("a1", 1, "alert.firing"), NOW) is Reception.FRESH
    assert store.accept(message("m3", 6), NOW) is Reception.FRESH
    assert store.newest("model") == 6


def test_a_sender_that_does_not_count_is_never_late(store) -> None:
    assert store.accept(message("m1", 5), NOW) is Reception.FRESH
    assert store.accept(message("m2"), NOW) is Reception.FRESH
    assert store.accept(message("m3", "9"), NOW) is Reception.FRESH
    assert store.newest("model") == 5


def test_a_message_that_was_let_go_is_taken_when_it_comes_again(store) -> None:
    store.accept(message("m1", 5), NOW)
    store.forget("m1")
    assert store.accept(message("m1", 5), NOW) is Reception.FRESH


def test_the_memory_is_bounded_in_number_and_in_time(store) -> None:
    for i in range(5):
        store.accept(message(f"m{i}"), NOW + timedelta(seconds=i))
    later = NOW + timedelta(seconds=9)
    assert store.accept(message("m4"), later) is Reception.DUPLICATE
    assert store.accept(message("m0"), later) is Reception.FRESH, "the oldest was forgotten"
    store.accept(message("x"), NOW + timedelta(days=KEPT_DAYS + 1))
    assert store.accept(message("m4"), later) is Reception.FRESH


def test_of_many_at_once_one_is_fresh(tmp_path) -> None:
    stores = [ReceivedStore(tmp_path / "received.sqlite3") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda store: store.accept(message("m1", 1), NOW), stores))
    assert seen.count(Reception.FRESH) == 1 and seen.count(Reception.DUPLICATE) == 7


@pytest.fixture
def board(tmp_path):
    board = AcknowledgementBoard(tmp_path / "board.sqlite3", max_nodes=3)
    yield board
    board.close()


def test_an_empty_board_touches_no_disk(board, tmp_path) -> None:
    assert board.board() == () and list(tmp_path.iterdir()) == []


def test_the_board_says_what_a_node_serves_and_since_when(board) -> None:
    hour = timedelta(hours=1)
    assert board.acknowledge("node-b", "1.0.0", D1, NOW)
    assert board.acknowledge("node-a", "1.0.0", D1, NOW)
    assert board.acknowledge("node-b", "1.0.0", D1, NOW + hour)
    a, b = board.board()
    assert (a.node, b.node) == ("node-a", "node-b")
    assert (b.version, b.manifest_digest, b.since, b.seen_at) == ("1.0.0", D1, NOW, NOW + hour)
    board.acknowledge("node-b", "1.0.0", D2, NOW + 2 * hour)
    assert board.board()[1].since == NOW + 2 * hour, "other bytes are another release"


def test_an_acknowledgement_that_comes_late_changes_nothing(board) -> None:
    board.acknowledge("a", "2.0.0", D2, NOW)
    assert not board.acknowledge("a", "1.0.0", D1, NOW - timedelta(seconds=1))
    assert board.board()[0].version == "2.0.0"


def test_the_node_that_was_silent_longest_makes_room(board) -> None:
    for i in range(4):
        board.acknowledge(f"n{i}", "1.0.0", D1, NOW + timedelta(seconds=i))
    assert [entry.node for entry in board.board()] == ["n1", "n2", "n3"]


@pytest.mark.parametrize(
    ("node", "version", "digest"),
    [("", "1.0.0", D1), ("a b", "1.0.0", D1), ("\x1b[31m", "1.0.0", D1), ("n" * 65, "1.0.0", D1),
     ("n", "../1", D1), ("n", "1.0.0", "xyz")],
)  # fmt: skip
def test_an_acknowledgement_that_cannot_be_one_is_refused(board, node, version, digest) -> None:
    with pytest.raises(WebhookRefused):
        board.acknowledge(node, version, digest, NOW)
