"""One table at a time: who waits, who is stopped, and what is left on disk."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from fraud import scratch
from fraud.errors import NotFound, TableError
from fraud.serving.scorer import Scorer
from fraud.tables import desk as desk_module
from fraud.tables import scoring
from fraud.tables.desk import Progress, TableDesk
from fraud.tables.matching import guess
from tests.unit.tables.conftest import NOW


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def desk(scorer: Scorer, temporary: Path) -> Iterator[TableDesk]:
    desk = TableDesk(lambda: scorer, clock=lambda: NOW)
    yield desk
    desk.close()


@pytest.fixture
def send(desk: TableDesk, rows: pd.DataFrame, tmp_path: Path) -> Callable[..., str]:
    def send_it(session: str = "", n: int = 3_000) -> str:
        path = tmp_path / f"sent-{time.monotonic_ns()}.csv"
        rows.head(n).to_csv(path, index=False)
        job_id, _ = desk.open(path, "mine.csv", session)
        assert not path.exists()
        return job_id

    return send_it


def start(desk: TableDesk, scorer: Scorer, job_id: str) -> None:
    desk.start(job_id, guess(desk.sheet(job_id), scorer.bundle.profile).columns)


def wait(desk: TableDesk, job_id: str, *states: str) -> Progress:
    deadline = time.monotonic() + 30
    while (found := desk.progress(job_id)).state not in states:
        assert time.monotonic() < deadline, found
        time.sleep(0.005)
    return found


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a table's scoring a hundred steps long."""
    monkeypatch.setattr(scoring, "SCORED_ROWS", 30)
    plain = scoring._slices

    def slices(rows: object) -> Iterator[object]:
        for part in plain(rows):  # type: ignore[arg-type]
            time.sleep(0.02)
            yield part

    monkeypatch.setattr(scoring, "_slices", slices)


def test_a_table_is_scored_and_its_files_go_with_it(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str], temporary: Path
) -> None:
    job_id = send()
    assert desk.progress(job_id).state == "opened"
    start(desk, scorer, job_id)
    done = wait(desk, job_id, "done", "failed")
    assert done.problem is None and (done.n_done, done.n_rows) == (3_000, 3_000)
    assert len(desk.table(job_id)) == 3_000
    desk.discard(job_id)
    assert list(temporary.iterdir()) == []
    with pytest.raises(NotFound):
        desk.progress(job_id)


@pytest.mark.usefixtures("slow")
def test_a_cancelled_table_stops_and_the_next_one_begins(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str]
) -> None:
    first, second = send("a"), send("b", 60)
    start(desk, scorer, first)
    wait(desk, first, "running")
    start(desk, scorer, second)
    assert desk.progress(second).place == 1
    while desk.progress(first).step != "score" or desk.progress(first).n_done == 0:
        time.sleep(0.005)
    desk.cancel(first)
    stopped = wait(desk, first, "cancelled", "done")
    assert stopped.state == "cancelled" and stopped.n_done < 3_000
    assert wait(desk, second, "done").n_done == 60
    start(desk, scorer, first)
    assert wait(desk, first, "done").n_done == 3_000


@pytest.mark.usefixtures("slow")
def test_a_waiting_table_can_be_cancelled(desk: TableDesk, scorer: Scorer, send: Callable[..., str]) -> None:
    first, second = send("a"), send("b")
    start(desk, scorer, first)
    start(desk, scorer, second)
    desk.cancel(second)
    assert desk.progress(second).state == "cancelled"
    assert desk.progress(first).state == "running"


@pytest.mark.usefixtures("slow")
def test_a_session_has_one_table_and_the_older_is_given_up(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str], temporary: Path
) -> None:
    first = send("a")
    start(desk, scorer, first)
    wait(desk, first, "running")
    second = send("a", 60)
    with pytest.raises(NotFound):
        desk.progress(first)
    start(desk, scorer, second)
    wait(desk, second, "done")
    assert len(list(temporary.iterdir())) == 1


@pytest.mark.usefixtures("slow")
def test_too_many_tables_are_told_to_come_later(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_WAITING", 1)
    jobs = [send(name) for name in "abc"]
    start(desk, scorer, jobs[0])
    wait(desk, jobs[0], "running")
    start(desk, scorer, jobs[1])
    with pytest.raises(TableError) as caught:
        start(desk, scorer, jobs[2])
    assert caught.value.code == "table_queue"


@pytest.mark.usefixtures("slow")
def test_a_table_whose_page_was_closed_is_given_up(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = send()
    start(desk, scorer, job_id)
    wait(desk, job_id, "running")
    monkeypatch.setattr(desk_module, "UNASKED_S", 0.1)
    time.sleep(0.5)
    assert wait(desk, job_id, "cancelled", "done").state == "cancelled"


def test_a_defect_ends_one_table_and_not_the_queue(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = send("a", 60), send("b", 60)
    whole = desk_module.score_sheet
    monkeypatch.setattr(desk_module, "score_sheet", lambda *given: 1 / 0)
    start(desk, scorer, first)
    failed = wait(desk, first, "failed")
    assert failed.problem is not None and failed.problem.code == "table_defect"
    monkeypatch.setattr(desk_module, "score_sheet", whole)
    start(desk, scorer, second)
    wait(desk, second, "done")


def test_a_table_that_was_swept_is_gone_in_a_sentence(
    desk: TableDesk, scorer: Scorer, send: Callable[..., str]
) -> None:
    job_id = send(n=60)
    start(desk, scorer, job_id)
    wait(desk, job_id, "done")
    scratch.sweep(life_s=-1)
    with pytest.raises(NotFound, match="send it again"):
        desk.progress(job_id)


def test_what_is_no_table_leaves_nothing_behind(desk: TableDesk, tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"a,b\n\0,2\n")
    with pytest.raises(TableError):
        desk.open(tmp_path / "bad.csv", "bad.csv")
    assert list(temporary.iterdir()) == []
