import multiprocessing
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fraud.errors import FlagError, NotFound, OutboxFull, StorageError
from fraud.feedback.outbox import Outbox


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "outbox.sqlite3"


@pytest.fixture
def outbox(path):
    box = Outbox(path, max_backlog=1_000)
    yield box
    box.close()


def test_making_an_outbox_touches_no_disk(outbox, path):
    assert not path.parent.exists()


def test_a_receipt_is_found_again_by_another_process(outbox, path):
    receipt = outbox.append("f_1", b"{}\n", 1)
    assert not receipt.committed
    assert Outbox(path, 10).receipt("f_1") == receipt


@pytest.mark.parametrize("name", ["f_2", "", "\ud800", "a\x00b", "' OR 1=1 --"])
def test_an_unknown_receipt_is_not_found(outbox, name):
    outbox.append("f_1", b"{}\n", 1)
    with pytest.raises(NotFound):
        outbox.receipt(name)


def test_the_same_submission_again_gives_the_same_receipt_at_any_stage(outbox):
    first = outbox.append("f_1", b"{}\n", 1)
    assert outbox.append("f_1", b"{}\n", 1) == first
    outbox.committed(outbox.seal(10, 1_000), "c" * 40)
    again = outbox.append("f_1", b"{}\n", 1)
    assert (again.saved_at, again.revision) == (first.saved_at, "c" * 40)
    assert outbox.backlog() == 0


def test_another_submission_under_the_same_id_is_refused(outbox):
    outbox.append("f_1", b"{}\n", 1)
    with pytest.raises(FlagError, match="other content"):
        outbox.append("f_1", b"[]\n", 1)


def test_a_full_backlog_refuses_until_it_drains(path):
    outbox = Outbox(path, max_backlog=2)
    outbox.append("f_1", b"{}\n", 1)
    outbox.append("f_2", b"{}\n", 1)
    with pytest.raises(OutboxFull):
        outbox.append("f_3", b"{}\n", 1)
    outbox.append("f_2", b"{}\n", 1)  # a repetition takes no room
    outbox.committed(outbox.seal(1, 1_000), "c" * 40)
    assert outbox.append("f_3", b"{}\n", 1)


def test_a_batch_is_the_same_each_time_and_in_order(outbox):
    for i in range(5):
        outbox.append(f"f_{i}", b"%d\n" % i, 1)
    first = outbox.seal(3, 1_000)
    second = outbox.seal(3, 1_000)
    assert outbox.seal(3, 1_000) is None
    assert outbox.open_batches() == (first, second)
    assert outbox.batch(first) == outbox.batch(first)
    assert (outbox.batch(first).lines, outbox.batch(second).lines) == (b"0\n1\n2\n", b"3\n4\n")


def test_a_batch_is_bounded_in_bytes_but_never_empty(outbox):
    for i in range(3):
        outbox.append(f"f_{i}", b"x" * 100, 1)
    assert [outbox.batch(outbox.seal(10, size)).n_submissions for size in (250, 10)] == [2, 1]


def test_a_committed_payload_is_gone_from_the_disk_and_its_receipt_stays(outbox, path):
    outbox.append("f_1", b"a secret of somebody" * 50, 1)
    assert outbox.committed(outbox.seal(10, 10_000), "c" * 40) == 1
    assert outbox.receipt("f_1").revision == "c" * 40
    assert outbox.open_batches() == ()
    outbox.close()
    assert not any(b"a secret" in file.read_bytes() for file in path.parent.iterdir())


def test_a_record_that_changed_on_disk_is_set_aside_and_kept(outbox, path):
    outbox.append("f_1", b"good\n", 1)
    outbox.append("f_2", b"to be bad\n", 1)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE submissions SET payload = CAST('bad' AS BLOB) WHERE receipt_id = 'f_2'")
    batch_id = outbox.seal(10, 1_000)
    assert outbox.batch(batch_id).lines == b"good\n"
    outbox.committed(batch_id, "c" * 40)
    assert outbox.damaged() == ("f_2",)
    assert outbox.seal(10, 1_000) is None
    assert not outbox.receipt("f_2").committed
    assert outbox.backlog() == 1


def test_many_threads_append_at_once(outbox):
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda i: outbox.append(f"f_{i}", b"{}\n", 1), range(100)))
    assert len({receipt.receipt_id for receipt in receipts}) == outbox.backlog() == 100


def _append_many(path, name):
    outbox = Outbox(path, 1_000)
    for i in range(25):
        outbox.append(f"{name}_{i}", b"{}\n", 1)


def test_processes_that_start_at_once_share_the_file(path):
    # Fork is asked for because a spawned child could not import this module.
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append_many, args=(path, name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert Outbox(path, 1_000).backlog() == 75


def test_a_fork_does_not_use_its_parents_connection(outbox):
    outbox.append("f_1", b"{}\n", 1)
    process = multiprocessing.get_context("fork").Process(target=outbox.append, args=("f_2", b"{}\n", 1))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    outbox.append("f_3", b"{}\n", 1)
    assert outbox.backlog() == 3


# what goes wrong


def test_a_full_disk_acknowledges_nothing_and_recovers(outbox):
    outbox.append("f_1", b"{}\n", 1)
    pages = outbox._file._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._file._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        outbox.append("f_2", b"x" * 100_000, 1)
    with pytest.raises(NotFound):
        outbox.receipt("f_2")
    outbox._file._connection.execute("PRAGMA max_page_count = 1000000")
    outbox.append("f_2", b"x" * 100_000, 1)
    assert outbox.backlog() == 2


def test_a_file_that_cannot_be_written_is_one_clear_error(outbox):
    outbox.append("f_1", b"{}\n", 1)
    outbox._file._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="cannot be written"):
        outbox.append("f_2", b"{}\n", 1)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Nothing was saved"):
        Outbox(tmp_path / "file" / "outbox.sqlite3", 10).append("f_1", b"{}\n", 1)


def test_a_lock_that_never_ends_is_one_clear_error(outbox, path):
    outbox.append("f_1", b"{}\n", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        Outbox(path, 10, lock_timeout_s=0.05).append("f_2", b"{}\n", 1)
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("offset", [0, 100])
def test_a_damaged_file_is_refused_at_the_start(outbox, path, offset):
    for i in range(60):
        outbox.append(f"f_{i}", b"x" * 1_000, 1)
    outbox.close()
    content = bytearray(path.read_bytes())
    content[offset : offset + 4_000] = os.urandom(4_000)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged.*keep both"):
        Outbox(path, 1_000).check()


@pytest.mark.parametrize("loss", ["removed", "emptied", "cut"])
def test_a_lost_file_is_refused_and_not_taken_for_a_first_start(outbox, path, loss):
    for i in range(60):
        outbox.append(f"f_{i}", b"x" * 1_000, 1)
    outbox.close()
    if loss == "removed":
        path.unlink()
    else:
        os.truncate(path, 0 if loss == "emptied" else path.stat().st_size // 2)
    with pytest.raises(StorageError):
        Outbox(path, 1_000).check()


def test_a_file_removed_while_in_use_is_noticed(outbox, path):
    outbox.append("f_1", b"{}\n", 1)
    path.unlink()
    with pytest.raises(StorageError, match="removed"):
        outbox.append("f_2", b"{}\n", 1)


def test_a_file_of_a_later_version_is_refused(outbox, path):
    outbox.append("f_1", b"{}\n", 1)
    outbox.close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="format 99"):
        Outbox(path, 10).check()


def test_a_start_that_was_cut_short_is_finished(path):
    path.parent.mkdir()
    path.touch()  # killed before the schema was written
    outbox = Outbox(path, 10)
    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda i: (barrier.wait(), outbox.append(f"f_{i}", b"{}\n", 1)), range(2)))
    assert outbox.backlog() == 2
