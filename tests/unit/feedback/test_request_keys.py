"""A request that comes twice with one key is answered once."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fraud.errors import FlagError
from fraud.feedback import outbox as outbox_module
from fraud.feedback.outbox import Outbox
from fraud.feedback.request_keys import LIFE_MS, request_key

KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite3"


@pytest.fixture
def outbox(path: Path) -> Outbox:
    return Outbox(path, 100)


def test_a_repeat_is_answered_with_the_first_receipt_and_saves_nothing(outbox: Outbox) -> None:
    first = outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    assert outbox.append("f_2", b"{}\n", 1, request_key(KEY, b"body")) == first
    assert outbox.answered(request_key(KEY, b"body")) == first
    assert outbox.backlog() == 1 and not outbox.knows("f_2")


def test_the_key_of_another_request_is_refused(outbox: Outbox) -> None:
    outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    with pytest.raises(FlagError, match="already used") as caught:
        outbox.append("f_2", b"{}\n", 1, request_key(KEY, b"another"))
    assert caught.value.code == "idempotency_key_reused"
    assert outbox.backlog() == 1


def test_another_process_answers_the_repeat(outbox: Outbox, path: Path) -> None:
    first = outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    assert Outbox(path, 100).append("f_2", b"{}\n", 1, request_key(KEY, b"body")) == first


def test_a_full_outbox_still_answers_a_repeat(path: Path) -> None:
    outbox = Outbox(path, 1)
    first = outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    assert outbox.append("f_2", b"{}\n", 1, request_key(KEY, b"body")) == first


def test_a_refused_submission_leaves_its_key_free(path: Path) -> None:
    outbox = Outbox(path, 0)
    with pytest.raises(Exception, match="wait to be committed"):
        outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    assert outbox.answered(request_key(KEY, b"body")) is None


def test_a_key_is_forgotten_after_its_time_and_leaves_the_disk(
    outbox: Outbox, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"body"))
    now = int(first.saved_at.timestamp() * 1000)
    monkeypatch.setattr(outbox_module, "_now_ms", lambda: now + LIFE_MS - 60_000)
    assert outbox.answered(request_key(KEY, b"body")) == first
    monkeypatch.setattr(outbox_module, "_now_ms", lambda: now + LIFE_MS + 60_000)
    assert outbox.answered(request_key(KEY, b"body")) is None
    outbox.seal(10, 1000)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM request_keys").fetchone() == (0,)


def test_neither_the_key_nor_the_request_is_on_disk(outbox: Outbox, path: Path) -> None:
    outbox.append("f_1", b"{}\n", 1, request_key(KEY, b"what was sent"))
    outbox.close()
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"f_1" in kept and KEY.encode() not in kept and b"what was sent" not in kept


def test_a_file_of_an_earlier_version_takes_keys(outbox: Outbox, path: Path) -> None:
    outbox.append("f_1", b"{}\n", 1)
    outbox.close()
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE request_keys")
    later = Outbox(path, 100)
    receipt = later.append("f_2", b"{}\n", 1, request_key(KEY, b"body"))
    assert later.answered(request_key(KEY, b"body")) == receipt and later.backlog() == 2


def test_a_structured_string_is_the_same_key_as_the_bare_one() -> None:
    assert request_key(f'"{KEY}"', b"body") == request_key(KEY, b"body")


@pytest.mark.parametrize(
    "bad", ["", "short", "x" * 129, "with a space", '"', '"unbalanced-quote', "né-vocábulo", "a\nbcdefgh"]
)
def test_a_key_out_of_bounds_is_refused(bad: Any) -> None:
    with pytest.raises(FlagError, match="8 to 128"):
        request_key(bad, b"body")
