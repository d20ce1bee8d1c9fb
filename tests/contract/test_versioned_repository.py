"""The promises of fraud/repositories/port.py, one test each, run against every adapter.

To add an adapter: write a function that takes a directory and yields a `Harness`, and name it in HARNESSES.
"""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from fraud.errors import NotFound, RepositoryError, StaleParent
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add, Delete, VersionedRepository
from tests.hub.clients import open_repository, source
from tests.hub.server import LoopbackHub


@dataclass
class Harness:
    """One adapter under test: `open` gives a fresh client, `source` makes `repository` in another process."""

    open: Callable[[], VersionedRepository]
    source: str


@contextmanager
def local(directory: Path) -> Iterator[Harness]:
    path = directory / "dataset.git"
    yield Harness(
        lambda: LocalRepository(path),
        f"from pathlib import Path\n"
        f"from fraud.repositories.local import LocalRepository\n"
        f"repository = LocalRepository(Path({str(path)!r}))\n",
    )


@contextmanager
def hub(directory: Path) -> Iterator[Harness]:
    with LoopbackHub() as server:
        # A fresh cache for each client: what one saw must not depend on what another has kept.
        caches = (directory / f"cache-{number}" for number in count())
        yield Harness(
            lambda: open_repository(server.url, next(caches)), source(server, directory / "cache-of-others")
        )


HARNESSES = {"hub": hub, "local": local}


@pytest.fixture(params=sorted(HARNESSES))
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    with HARNESSES[request.param](tmp_path) as harness:
        yield harness


@pytest.fixture
def repository(harness: Harness) -> VersionedRepository:
    return harness.open()


def run(harness: Harness, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", harness.source + code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


# head


def test_an_empty_repository_has_no_head(repository):
    assert repository.head() is None
    assert repository.history() == ()
    assert repository.tags() == {}


def test_the_head_is_the_full_sha_of_the_newest_commit(harness, repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    second = repository.commit([Add("a.txt", b"2")], "two", first)
    assert re.fullmatch("[0-9a-f]{40}", second)
    assert repository.head() == harness.open().head() == second != first


# commit


def test_a_commit_keeps_what_it_does_not_name(repository):
    first = repository.commit([Add("a.txt", b"1"), Add("data/b.txt", b"2")], "one", None)
    second = repository.commit([Add("a.txt", b"3"), Add("c.txt", b"4")], "two", first)
    assert repository.files(second) == ("a.txt", "c.txt", "data/b.txt")
    assert repository.read("a.txt", second) == b"3"
    assert repository.read("a.txt", first) == b"1"
    assert repository.read("data/b.txt", second) == b"2"


def test_content_comes_back_byte_for_byte(repository):
    content = b"\r\n\x00\xff$Id$\r" + "é漢\u2028".encode()
    attributes = b"* text eol=crlf ident export-ignore export-subst\n"
    operations = [Add("a.bin", content), Add("empty", b""), Add(".gitattributes", attributes)]
    revision = repository.commit(operations, "bytes", None)
    assert repository.read("a.bin", revision) == content
    assert repository.read("empty", revision) == b""
    assert (repository.snapshot(revision) / "a.bin").read_bytes() == content


def test_content_can_be_read_from_a_path(repository, tmp_path):
    source = tmp_path / "large.bin"
    source.write_bytes(b"0123456789abcdef" * 70_000)
    revision = repository.commit([Add("large.bin", source)], "large", None)
    assert repository.read("large.bin", revision) == source.read_bytes()


def test_a_missing_source_file_commits_nothing(repository, tmp_path):
    with pytest.raises(RepositoryError):
        repository.commit([Add("a.txt", b"1"), Add("b.txt", tmp_path / "nowhere")], "m", None)
    assert repository.head() is None


def test_a_delete_removes_the_file_from_the_new_revision_only(repository):
    first = repository.commit([Add("a.txt", b"1"), Add("b.txt", b"2")], "one", None)
    second = repository.commit([Delete("a.txt")], "two", first)
    assert repository.files(second) == ("b.txt",)
    assert repository.files(first) == ("a.txt", "b.txt")


def test_deleting_what_is_not_there_is_refused_and_nothing_is_written(repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    with pytest.raises(RepositoryError):
        repository.commit([Add("b.txt", b"2"), Delete("nowhere.txt")], "two", first)
    assert repository.head() == first
    assert repository.files(first) == ("a.txt",)


def test_a_stale_parent_is_refused_and_nothing_is_written(repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    second = repository.commit([Add("a.txt", b"2")], "two", first)
    for stale in (first, None):
        with pytest.raises(StaleParent):
            repository.commit([Add("b.txt", b"3")], "late", stale)
    assert repository.head() == second
    assert repository.files(second) == ("a.txt",)


def test_a_commit_that_changes_nothing_returns_its_parent(repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    assert repository.commit([Add("a.txt", b"1")], "again", first) == first
    assert len(repository.history()) == 1


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd",
        "../up", "a/../../up", "a/./b", "a//b", "a/", ".git/config", "a/.GIT/hooks/x", ".git ./x",
        ".g\u200cit/config", "git~1/x", "a\\b", "a\nb", "a\x00b", "a\x7f", "C:/x", "\ud800", "x" * 256,
    ],
)  # fmt: skip
def test_an_unsafe_path_is_refused_before_anything_is_written(repository, path):
    with pytest.raises(RepositoryError):
        repository.commit([Add("good.txt", b"1"), Add(path, b"1")], "unsafe", None)
    assert repository.head() is None


def test_a_path_named_twice_is_refused(repository):
    with pytest.raises(RepositoryError):
        repository.commit([Add("a", b"1"), Add("a", b"2")], "twice", None)


def test_unusual_but_safe_paths_are_kept(repository):
    paths = ("a b.txt", "data/ção.txt", 'q"uote.txt', ".gitignore", "-dash", "*star")
    revision = repository.commit([Add(path, path.encode()) for path in paths], "odd", None)
    assert repository.files(revision) == tuple(sorted(paths))
    assert all(repository.read(path, revision) == path.encode() for path in paths)


# snapshot


def test_a_snapshot_holds_exactly_the_files_of_its_revision(harness, repository):
    first = repository.commit([Add("a.txt", b"1"), Add("data/b.txt", b"2")], "one", None)
    repository.commit([Delete("a.txt"), Add("c.txt", b"3")], "two", first)
    folder = harness.open().snapshot(first)
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"a.txt": b"1", "data/b.txt": b"2"}


def test_a_snapshot_is_made_once_per_sha_and_is_read_only(repository):
    revision = repository.commit([Add("a.txt", b"1")], "one", None)
    repository.tag("v1", revision)
    folder = repository.snapshot(revision)
    assert repository.snapshot("v1") == folder == repository.snapshot(revision)
    assert not (folder / "a.txt").stat().st_mode & 0o222


def test_a_snapshot_of_an_unknown_revision_is_not_found(repository):
    repository.commit([Add("a.txt", b"1")], "one", None)
    with pytest.raises(NotFound):
        repository.snapshot("0" * 40)


def test_processes_that_snapshot_at_once_all_see_every_file(harness, repository):
    operations = [Add(f"data/{i}.txt", str(i).encode() * 50) for i in range(150)]
    revision = repository.commit(operations, "many", None)
    code = f"folder = repository.snapshot({revision!r})\nprint(len(list((folder / 'data').iterdir())))"
    processes = [run(harness, code) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["150"] * 3


# read and files


def test_reading_what_does_not_exist_is_not_found(repository):
    revision = repository.commit([Add("data/a.txt", b"1")], "one", None)
    for path in ("b.txt", "data", "../data/a.txt", ""):
        with pytest.raises(NotFound):
            repository.read(path, revision)
    for unknown in ("0" * 40, "no-such-tag"):
        with pytest.raises(NotFound):
            repository.read("data/a.txt", unknown)
        with pytest.raises(NotFound):
            repository.files(unknown)


# tags and names


def test_a_tag_names_a_revision_and_stays(repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    second = repository.commit([Add("a.txt", b"2")], "two", first)
    repository.tag("v1.0.0", first)
    repository.tag("v1.0.0", first)
    with pytest.raises(RepositoryError):
        repository.tag("v1.0.0", second)
    assert repository.tags() == {"v1.0.0": first}
    assert repository.read("a.txt", "v1.0.0") == b"1"


def test_a_tag_on_an_unknown_revision_is_not_found(repository):
    repository.commit([Add("a.txt", b"1")], "one", None)
    with pytest.raises(NotFound):
        repository.tag("v1", "0" * 40)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a..b", "a.lock", "a/../b", "a~1", "é", "a" * 40, "x\n"])
def test_an_unusable_tag_is_refused(repository, name):
    revision = repository.commit([Add("a.txt", b"1")], "one", None)
    with pytest.raises(RepositoryError):
        repository.tag(name, revision)


def test_resolve_takes_a_tag_a_sha_and_a_prefix(repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    repository.commit([Add("a.txt", b"2")], "two", first)
    repository.tag("v1", first)
    assert repository.resolve("v1") == repository.resolve(first) == repository.resolve(first[:12]) == first
    for unknown in ("v2", "", "HEAD", "main", "f" * 40, "--all", first + "0"):
        with pytest.raises(NotFound):
            repository.resolve(unknown)


# history


def test_history_runs_from_the_newest_to_the_oldest(repository):
    first = repository.commit([Add("a.txt", b"1")], "Add one\n\nRows: 1", None)
    second = repository.commit([Add("a.txt", b"2")], "Add ção", first)
    commits = repository.history()
    assert [commit.revision for commit in commits] == [second, first]
    assert [commit.message for commit in commits] == ["Add ção", "Add one\n\nRows: 1"]
    assert abs(commits[0].committed_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert [commit.revision for commit in repository.history(limit=1)] == [second]


# several writers, and death at any moment

WRITER = """
import sys
from fraud.errors import StaleParent
from fraud.repositories.port import Add
for i in range({count}):
    while True:
        try:
            repository.commit([Add(f"data/{name}-{{i}}.txt", b"row")], "add", repository.head())
            break
        except StaleParent:
            pass
    print(i, flush=True)
"""


def test_two_processes_that_commit_at_once_lose_no_row(harness, repository):
    writers = [run(harness, WRITER.format(name=name, count=8)) for name in ("a", "b")]
    for writer in writers:
        writer.communicate(timeout=90)
        assert writer.returncode == 0
    expected = sorted(f"data/{name}-{i}.txt" for name in ("a", "b") for i in range(8))
    assert list(repository.files(repository.head())) == expected
    assert len(repository.history()) == 16


def test_a_writer_killed_at_any_moment_leaves_a_repository_that_works(harness, repository):
    chance = random.Random(7)  # noqa: S311 - a reproducible choice, not a secret
    acknowledged = set()
    for round_number in range(6):
        writer = run(harness, WRITER.format(name=f"r{round_number}", count=1000))
        acknowledged.add(f"data/r{round_number}-{int(writer.stdout.readline())}.txt")
        time.sleep(chance.uniform(0.0, 0.12))
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate(timeout=30)[0]
        acknowledged |= {f"data/r{round_number}-{i}.txt" for i in rest.split()}
        head = repository.head()
        assert set(repository.files(head)) >= acknowledged
        assert repository.read("data/r0-0.txt", head) == b"row"
        while True:
            try:
                repository.commit([Add("parent.json", json.dumps(round_number).encode())], "next", head)
                break
            except StaleParent:  # the git process of the dead writer was about to finish
                head = repository.head()
    assert len(list(repository.snapshot(repository.head()).glob("data/*"))) >= len(acknowledged)
