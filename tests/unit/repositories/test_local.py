import os
import subprocess
import threading
import time

import pytest

from fraud.durable import exclusive
from fraud.errors import NotFound, RepositoryError
from fraud.repositories.git import Git
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add


@pytest.fixture
def repository(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


def git(repository, *arguments, **options):
    return subprocess.run(
        ["git", "--git-dir", repository._directory, *arguments],
        check=True, capture_output=True, text=True, **options,
    ).stdout  # fmt: skip


def test_making_a_repository_object_touches_no_disk(tmp_path):
    repository = LocalRepository(tmp_path / "a" / "b")
    assert repository.head() is None
    assert list(tmp_path.iterdir()) == []


def test_locks_left_by_a_killed_writer_are_removed(repository):
    first = repository.commit([Add("a", b"1")], "one", None)
    folder = repository._directory
    for name in ("HEAD.lock", "packed-refs.lock", "config.lock", "refs/heads/main.lock", "refs/tags/v1.lock"):
        (folder / name).touch()
    (folder / "index-left").mkdir()
    (folder / "objects" / "aa").mkdir(exist_ok=True)
    (folder / "objects" / "aa" / "tmp_obj_left").write_bytes(b"half")
    fresh = LocalRepository(folder)
    second = fresh.commit([Add("a", b"2")], "two", first)
    fresh.tag("v1", second)
    assert not list(folder.rglob("*.lock"))
    assert not list(folder.rglob("tmp_obj*"))
    assert not list(folder.glob("index-*"))


def test_an_interrupted_first_commit_is_finished_by_the_next(repository):
    repository._directory.mkdir()
    (repository._directory / "HEAD.lock").write_text("ref: refs/he")
    (repository._directory / "config.lock").touch()
    assert repository.head() is None
    repository.commit([Add("a", b"1")], "one", None)
    assert len(repository.history()) == 1


def test_packed_references_are_read(repository):
    first = repository.commit([Add("a", b"1")], "one", None)
    repository.tag("v1", first)
    git(repository, "pack-refs", "--all", "--prune")
    assert not (repository._directory / "refs/heads/main").exists()
    assert repository.head() == first
    assert repository.tags() == {"v1": first}
    assert repository.commit([Add("a", b"2")], "two", first) == repository.head()
    assert len(repository.history()) == 2


def test_settings_and_hooks_of_the_machine_have_no_say(repository, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\nname = Someone\n[commit]\ngpgsign = true\n[core]\nautocrlf = true\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone")
    first = repository.commit([Add("a", b"1\r\n")], "one", None)
    hook = repository._directory / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    second = repository.commit([Add("a", b"2\r\n")], "two", first)
    assert repository.read("a", second) == b"2\r\n"
    monkeypatch.delenv("GIT_DIR")
    assert git(repository, "log", "-1", "--format=%an <%ae> %cn") == "fraud <fraud@localhost> fraud\n"


def test_a_commit_that_lost_its_race_is_no_revision(repository):
    first = repository.commit([Add("a", b"1")], "one", None)
    environment = repository._git.environment()
    dangling = git(
        repository, "commit-tree", f"{first}^{{tree}}", "-p", first, "-m", "lost", env=environment
    ).strip()
    with pytest.raises(NotFound):
        repository.resolve(dangling)


def test_a_torn_snapshot_is_made_again(repository):
    revision = repository.commit([Add("a", b"123"), Add("d/b", b"4")], "one", None)
    folder = repository.snapshot(revision)
    (folder / "a").unlink()
    (folder / "a").write_bytes(b"")  # as a power failure leaves a file that was not flushed
    again = LocalRepository(repository._directory).snapshot(revision)
    assert (again / "a").read_bytes() == b"123"
    (folder / "extra").write_bytes(b"")
    again = LocalRepository(repository._directory).snapshot(revision)
    assert sorted(p.name for p in again.iterdir()) == ["a", "d"]


def test_a_half_made_snapshot_is_never_seen_and_is_swept_later(repository):
    revision = repository.commit([Add("a", b"1")], "one", None)
    left = repository._directory / "snapshots" / "making-left"
    left.mkdir(parents=True)
    os.utime(left, (1, 1))
    repository.snapshot(revision)
    assert [p.name for p in left.parent.iterdir()] == [revision]


def test_a_damaged_object_is_reported_not_checked_out(repository):
    revision = repository.commit([Add("a", b"content")], "one", None)
    blob = git(repository, "rev-parse", f"{revision}:a").strip()
    path = repository._directory / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-3] + b"xyz")
    with pytest.raises(RepositoryError):
        repository.snapshot(revision)
    assert not list(repository._directory.glob("snapshots/*"))


def test_a_damaged_head_is_an_error_and_not_an_empty_repository(repository):
    repository.commit([Add("a", b"1")], "one", None)
    (repository._directory / "refs/heads/main").write_bytes(b"\0" * 41)
    with pytest.raises(RepositoryError, match="damaged"):
        repository.head()


def test_a_clone_with_a_working_tree_is_not_taken_for_an_empty_repository(repository, tmp_path):
    repository.commit([Add("a", b"1")], "one", None)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", repository._directory, clone], check=True)
    with pytest.raises(RepositoryError, match="git clone --mirror"):
        LocalRepository(clone).head()
    with pytest.raises(RepositoryError, match="git clone --mirror"):
        LocalRepository(clone).commit([Add("a", b"2")], "a new history", None)


def test_links_pushed_by_others_are_refused(repository):
    first = repository.commit([Add("a", b"1")], "one", None)
    blob = git(repository, "hash-object", "-w", "--stdin", input="/etc/passwd").strip()
    tree = git(repository, "mktree", input=f"120000 blob {blob}\tlink\n").strip()
    environment = repository._git.environment()
    pushed = git(repository, "commit-tree", tree, "-p", first, "-m", "link", env=environment).strip()
    git(repository, "update-ref", "refs/heads/main", pushed)
    with pytest.raises(RepositoryError, match="plain file"):
        repository.snapshot(pushed)


def test_a_writer_waits_for_another_and_gives_up_after_its_patience(tmp_path):
    patient, hasty = (LocalRepository(tmp_path / "r", lock_timeout_s=s) for s in (30.0, 0.05))
    first = patient.commit([Add("a", b"1")], "one", None)
    with hasty._writing():
        thread = threading.Thread(target=patient.commit, args=([Add("a", b"2")], "two", first))
        thread.start()
        with pytest.raises(RepositoryError, match="another process holds"):
            LocalRepository(tmp_path / "r", lock_timeout_s=0.05).commit([Add("a", b"3")], "three", first)
        assert patient.head() == first
    thread.join(30)
    assert patient.head() != first


def test_a_directory_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    repository = LocalRepository(tmp_path / "file" / "dataset.git")
    assert repository.head() is None
    with pytest.raises(RepositoryError, match="cannot be written"):
        repository.commit([Add("a", b"1")], "one", None)


def test_polling_the_head_is_cheap(repository):
    repository.commit([Add("a", b"1")], "one", None)
    started = time.perf_counter()
    for _ in range(100):
        repository.head()
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_step_of_a_commit_leaves_the_parent_or_the_child(repository, monkeypatch, when):
    head = repository.commit([Add("a", b"0")], "first", None)
    original = Git.run
    step = 0
    while True:
        calls = iter(range(100))

        def crash(self, *arguments, calls=calls, step=step, **options):
            if next(calls) != step:
                return original(self, *arguments, **options)
            if when == "after":
                original(self, *arguments, **options)
            raise KeyboardInterrupt

        fresh = LocalRepository(repository._directory)
        with monkeypatch.context() as patch:
            patch.setattr(Git, "run", crash)
            try:
                head = fresh.commit([Add("a", b"%d" % (step + 1))], "next", head)
                break
            except KeyboardInterrupt:
                step += 1
        now = LocalRepository(repository._directory)
        assert now.read("a", now.head()) in (now.read("a", head), b"%d" % step)
        head = now.head()
    assert step == 8  # init, hash, read-tree, update-index, write-tree, rev-parse, commit-tree, update-ref
    git(repository, "fsck", "--strict")


def test_the_git_process_of_a_dead_writer_keeps_the_lock_until_it_ends(repository):
    first = repository.commit([Add("a", b"1")], "one", None)
    with repository._writing() as lock:
        orphan = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with pytest.raises(RepositoryError, match="another process holds"):
        LocalRepository(repository._directory, lock_timeout_s=0.05).commit([Add("a", b"2")], "two", first)
    orphan.communicate()
    assert repository.commit([Add("a", b"2")], "two", first) == repository.head()


def test_a_turn_that_takes_too_long_is_said_and_leaves_the_queue_open(tmp_path):
    holder, other = (LocalRepository(tmp_path / "r.git", lock_timeout_s=0.05) for _ in range(2))
    with holder.turn(), pytest.raises(RepositoryError, match="had its turn for too long"), other.turn():
        raise AssertionError("two had a turn at once")
    with other.turn():
        pass
    with pytest.raises(OSError, match="of the work itself"), holder.turn():
        raise OSError("of the work itself")


def test_who_has_just_had_a_turn_does_not_come_past_who_waits(tmp_path):
    order, waiting = [], threading.Event()
    first, second = (LocalRepository(tmp_path / "r.git") for _ in range(2))

    def wait_once():
        waiting.set()
        with second.turn():
            order.append("second")

    with first.turn():
        thread = threading.Thread(target=wait_once)
        thread.start()
        waiting.wait(10)
        gate = tmp_path / "r.git" / "turn-gate.mutex"
        while not _is_held(gate):
            time.sleep(0.001)
    with first.turn():
        order.append("first again")
    thread.join(10)
    assert order == ["second", "first again"]


def _is_held(path):
    try:
        with exclusive(path, 0):
            return False
    except TimeoutError:
        return True
