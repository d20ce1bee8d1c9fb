"""What a real cluster did not do is no answer: work that failed, however many at once, or was forgotten."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from fraud.errors import TableError
from fraud.scale.cluster import Engine, EngineError


@pytest.fixture
def threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(logging.getLogger("distributed"), "disabled", True)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0", protocol="inproc://"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield Engine(client, tmp_path, lambda message: None)


def refused_after_the_first(number: int) -> int:
    if number:
        raise TableError("no", code="file")
    return number


def test_a_failure_is_raised_however_many_answers_come_with_it(threads: Engine) -> None:
    """Dask raises for the first of those that it hands over together."""
    completed = distributed.as_completed

    def all_together(futures: Any, **options: Any) -> Any:
        distributed.wait(futures)
        found = completed(futures, **options)
        until = time.monotonic() + 10
        while found.queue.qsize() < len(futures) and time.monotonic() < until:
            time.sleep(0.01)
        found.queue.queue = type(found.queue.queue)(
            sorted(found.queue.queue, key=lambda e: e[0].status != "finished")
        )
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distributed, "as_completed", all_together)
        with pytest.raises(TableError, match="no"):
            threads.each(refused_after_the_first, range(4))


def slowly(number: int) -> int:
    time.sleep(0.1)
    return number


@pytest.mark.parametrize("way", [Engine.each, lambda engine, *asked: [*engine.one_by_one(*asked)]])
def test_work_that_the_scheduler_forgot_is_told(threads: Engine, way: Callable[..., Any]) -> None:
    client = threads.client

    def forget() -> None:
        client.cancel([distributed.Future(key, client) for key in client.futures], force=True)

    timer = threading.Timer(0.3, forget)
    timer.start()
    with pytest.raises(EngineError, match=r"forgot the work or was lost .* run the same command again"):
        way(threads, slowly, range(40))
    timer.join()
