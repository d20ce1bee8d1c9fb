"""Purging: afterwards no object of the repository holds what was withdrawn, and all else is as it was."""

import os
import subprocess
import zlib
from datetime import timedelta

import pytest

from fraud.errors import FlagError, NotFound
from fraud.feedback.compaction import compact
from fraud.feedback.dataset import read_events
from fraud.feedback.events import submission, withdrawal_row
from fraud.feedback.purge import plan_purge, purge
from fraud.feedback.store import FeedbackStore
from fraud.feedback.withdrawal import withdrawal_id
from fraud.records import Withdrawal
from fraud.repositories.local import LocalRepository
from fraud.repositories.rewriting import Past

SECRET = b"secret words"


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "dataset.git"


@pytest.fixture
def repository(directory):
    return LocalRepository(directory)


@pytest.fixture
def past(directory):
    return Past(directory)


@pytest.fixture
def store(tmp_path, repository):
    return FeedbackStore(tmp_path / "store", repository, "n1", sleep=lambda _: None)


@pytest.fixture
def save(store, make_prediction, make_flag):
    def save(comment):
        prediction = make_prediction(transaction={"note": comment})
        flag = make_flag(prediction, comment=comment)
        store.append(submission(prediction, flag, node="n1"))
        store.drain()
        return flag.flag_id

    return save


@pytest.fixture
def withdraw(store, make_prediction):
    def withdraw(flag_id):
        at = make_prediction().predicted_at + timedelta(days=1)
        store.withdraw(withdrawal_row(Withdrawal(withdrawal_id(flag_id), at, flag_id), node="n1"))
        store.drain()

    return withdraw


def git(directory, *arguments):
    environment = {"PATH": os.environ["PATH"], "GIT_DIR": str(directory), "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], env=environment, capture_output=True, check=True)
    return done.stdout


def everything(directory):
    """Return the bytes of every object, reachable or not, packed or loose, and of every other file."""
    form = "--batch-check=%(objectname) %(objecttype)"
    listed = git(directory, "cat-file", "--batch-all-objects", form).decode().split("\n")
    objects = b"".join(git(directory, "cat-file", *reversed(line.split())) for line in listed if line)
    files = [path for path in directory.rglob("*") if path.is_file() and "objects" not in path.parts]
    loose = [path.read_bytes() for path in directory.glob("objects/??/*")]
    return objects + b"".join(map(zlib.decompress, loose)) + b"".join(path.read_bytes() for path in files)


@pytest.mark.parametrize("compacted", [False, True])
def test_no_object_holds_what_was_purged_and_the_rest_is_as_it_was(
    directory, repository, past, save, withdraw, compacted
):
    kept, gone = save("before"), save(SECRET.decode())
    repository.tag("with-it", repository.head())
    save("after")
    if compacted:
        compact(repository, "t")
    withdraw(gone)
    repository.snapshot("with-it")
    events = read_events(repository, repository.head())
    messages = [(commit.message, commit.committed_at) for commit in repository.history()]
    first = repository.history()[-1].revision
    assert SECRET in everything(directory)
    plan = plan_purge(repository, past, gone)
    assert (plan.n_revisions, plan.n_dirty) == (len(messages), 3 if compacted else 2)
    done = purge(past, plan)
    fresh = LocalRepository(directory)
    assert SECRET not in everything(directory)
    assert read_events(fresh, fresh.head()) == events
    assert [(commit.message, commit.committed_at) for commit in fresh.history()] == messages
    assert fresh.history()[-1].revision == first, "what came before the flag keeps its revision"
    assert "with-it" in done.tags and fresh.tags()["with-it"] in done.revisions.values()
    assert set(done.revisions).isdisjoint(commit.revision for commit in fresh.history())
    assert [event.event_id for event in read_events(fresh, "with-it")[0]][1] == kept
    git(directory, "fsck", "--strict")


def test_a_purge_repeated_finds_nothing(repository, directory, past, save, withdraw):
    gone = save(SECRET.decode())
    withdraw(gone)
    purge(past, plan_purge(repository, past, gone))
    fresh = LocalRepository(directory)
    head = fresh.head()
    plan = plan_purge(fresh, past, gone)
    assert plan.n_dirty == 0 and purge(past, plan).revisions == {} and fresh.head() == head


def test_the_store_goes_on_after_a_purge(store, repository, past, save, withdraw):
    gone = save(SECRET.decode())
    withdraw(gone)
    purge(past, plan_purge(repository, past, gone))
    later = save("later")
    assert store.receipt(later).committed


def test_what_was_not_withdrawn_is_not_purged(repository, past, save):
    flag = save("harmless")
    with pytest.raises(FlagError, match="withdraw it first"):
        plan_purge(repository, past, flag)


def test_there_must_be_a_repository(past):
    with pytest.raises(NotFound):
        past.revisions()
