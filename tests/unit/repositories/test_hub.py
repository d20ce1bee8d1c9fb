"""The Hub adapter under faults: nothing erased, nothing written twice, no endless waits, no token told."""

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fraud.errors import NotFound, RepositoryError, StaleParent
from fraud.repositories import hub_client
from fraud.repositories.hub import HubRepository
from fraud.repositories.port import Add, Delete
from fraud.repositories.retries import Retries, RetryPolicy
from tests.hub.clients import DATASET, open_repository
from tests.hub.server import READ_TOKEN, WRITE_TOKEN, LoopbackHub

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hub():
    with LoopbackHub(lfs_threshold=4096) as hub:
        yield hub


@pytest.fixture
def repository(hub, tmp_path):
    return open_repository(hub.url, tmp_path / "cache")


@pytest.fixture
def other(hub, tmp_path):
    return open_repository(hub.url, tmp_path / "other")


def asked(hub, method, part):
    return [entry for entry in hub.log if entry.method == method and part in entry.url]


def waiting(hub, cache, on_wait):
    """Return a repository that calls `on_wait` once, when it first waits before trying again."""
    pending = [on_wait]

    def sleep(_):
        if pending:
            pending.pop()()

    retries = Retries(RetryPolicy(), "The Hub", sleep)
    return HubRepository(
        DATASET, "dataset", token=WRITE_TOKEN, endpoint=hub.url, cache=cache, retries=retries
    )


# what it costs, and what it keeps to itself


def test_making_one_asks_nothing_and_writes_nothing(hub, tmp_path):
    open_repository(hub.url, tmp_path / "cache")
    assert hub.log == [] and list(tmp_path.iterdir()) == []


def test_a_process_that_works_locally_does_not_load_the_client():
    code = "import sys, fraud.wiring, fraud.repositories.hub; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_the_token_is_in_no_url_name_log_or_error(hub, repository, caplog):
    caplog.set_level(logging.DEBUG)
    first = repository.commit([Add("a.txt", b"1"), Add("large.bin", b"2" * 9000)], "one", None)
    repository.snapshot(first)
    repository.tag("v1", first)
    hub.fault(".*", ".*", status=503, times=None)
    with pytest.raises(RepositoryError) as refused:
        repository.commit([Add("a.txt", b"2")], "two", first)
    texts = [entry.url for entry in hub.log] + [str(refused.value), repr(repository), repr(vars(repository))]
    assert not any(WRITE_TOKEN in text for text in (*texts, caplog.text))
    elsewhere = [entry for entry in hub.log if entry.url.startswith("/lfs/") and entry.method != "POST"]
    assert elsewhere and not any("authorization" in map(str.lower, entry.headers) for entry in elsewhere)


@pytest.mark.parametrize("private", [True, False])
def test_the_first_commit_creates_the_repository_as_private_as_asked(hub, tmp_path, private):
    repository = HubRepository(
        DATASET, "dataset", token=WRITE_TOKEN, endpoint=hub.url, cache=tmp_path, private=private
    )
    assert repository.head() is None and hub.repos == {}
    repository.commit([Add("a.txt", b"1")], "one", None)
    assert hub.repo("dataset", DATASET).private is private


def test_a_model_repository_is_one_of_its_own(hub, tmp_path):
    repository = HubRepository(DATASET, "model", token=WRITE_TOKEN, endpoint=hub.url, cache=tmp_path)
    first = repository.commit([Add("m.json", b"{}"), Add("m.bin", b"x" * 9000)], "one", None)
    assert set(hub.repos) == {("model", DATASET)}
    assert (repository.snapshot(first) / "m.bin").read_bytes() == b"x" * 9000


def test_the_hubs_own_first_commit_and_file_stay_out_of_sight(hub, repository, other):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    server = hub.repo("dataset", DATASET)
    blank = server.commits[first].parent
    assert set(server.commits[first].tree) == {".gitattributes", "a.txt"}
    assert repository.files(first) == ("a.txt",)
    assert [p.name for p in repository.snapshot(first).iterdir()] == ["a.txt"]
    for one in (repository, other):
        assert [len(one.history(limit)) for limit in (None, 0, 1, 2, 5)] == [1, 0, 1, 1, 1]
        with pytest.raises(NotFound):
            one.resolve(blank)
    with pytest.raises(RepositoryError):
        repository.commit([Delete(".gitattributes")], "no", first)


def test_reads_ask_little(hub, repository):
    first = repository.commit([Add(f"data/{i}.txt", b"%d" % i) for i in range(120)], "one", None)
    with hub.logged() as polled:
        assert repository.head() == first
    assert [entry.url for entry in polled] == [f"/api/datasets/{DATASET}/refs"]
    with hub.logged() as listed:
        repository.files(first), repository.files(first)
    assert len(listed) == 3, "three pages, once"
    for number in range(60):
        first = repository.commit([Add("n.txt", b"%d" % number)], f"commit {number}", first)
    with hub.logged() as logged:
        assert [commit.message for commit in repository.history(limit=2)] == ["commit 59", "commit 58"]
    assert len(asked(hub, "GET", "/commits/")) and sum("/commits/" in entry.url for entry in logged) == 1
    assert len(repository.history()) == 61


def test_following_a_growing_dataset_leaves_nothing_on_disk(repository, tmp_path):
    head = None
    for number in range(8):
        head = repository.commit([Add(f"data/{number}.txt", b"1")], "add", head)
        assert len(repository.files(head)) == number + 1
    assert not list(tmp_path.rglob("*.*"))
    repository.snapshot(head)
    assert len(list(tmp_path.rglob("*.json"))) == 1


# commits under faults


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"drop": "after", "status": 503}, {"drop": "late"}])
def test_a_commit_whose_answer_was_lost_is_not_written_twice(hub, repository, fault):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    hub.fault("POST", "/commit/main", **fault)
    second = repository.commit([Add("b.txt", b"2")], "two", first)
    assert [commit.revision for commit in repository.history()] == [second, first]
    assert repository.head() == second and repository.files(second) == ("a.txt", "b.txt")
    assert not hub.late


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"status": 500}, {"status": 429}])
def test_a_commit_that_did_not_take_effect_is_made_on_the_next_attempt(hub, repository, fault):
    hub.fault("POST", "/commit/main", times=2, **fault)
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    assert [commit.revision for commit in repository.history()] == [first]
    assert len(asked(hub, "POST", "/commit/main")) == 3


def test_a_lost_commit_is_found_below_what_others_have_committed_since(hub, repository, other, tmp_path):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    hub.fault("POST", "/commit/main", drop="after")

    def others():
        other.commit([Add("c.txt", b"3")], "three", other.head())

    second = waiting(hub, tmp_path / "w", others).commit([Add("b.txt", b"2")], "two", first)
    newest, below, oldest = repository.history()
    assert (newest.message, below.revision, oldest.revision) == ("three", second, first)


def test_somebody_elses_commit_during_the_wait_is_a_stale_parent(hub, repository, other, tmp_path):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    hub.fault("POST", "/commit/main", drop="before")

    def others():
        other.commit([Add("a.txt", b"theirs")], "theirs", first)

    with pytest.raises(StaleParent):
        waiting(hub, tmp_path / "w", others).commit([Add("a.txt", b"ours")], "ours", first)
    assert repository.read("a.txt", repository.head()) == b"theirs"
    assert len(repository.history()) == 2


def test_the_same_change_by_somebody_else_is_a_stale_parent(repository, other):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    other.commit([Add("a.txt", b"2")], "theirs", first)
    with pytest.raises(StaleParent):
        repository.commit([Add("a.txt", b"2")], "ours", first)


def test_a_commit_is_known_even_where_patience_ended_right_after_it(hub, tmp_path):
    repository = open_repository(hub.url, tmp_path, policy=RetryPolicy(attempts=1))
    hub.fault("POST", "/commit/main", drop="after")
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    assert repository.head() == first and len(repository.history()) == 1


def test_two_first_commits_at_once_leave_one_winner(hub, tmp_path):
    hub.fault("GET", "/refs", delay_s=0.1, times=2)  # both see no repository
    results = {}

    def write(name):
        try:
            results[name] = open_repository(hub.url, tmp_path / name).commit([Add(name, b"1")], name, None)
        except StaleParent as error:
            results[name] = error

    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(type(result).__name__ for result in results.values()) == ["StaleParent", "str"]
    assert len(open_repository(hub.url, tmp_path / "c").history()) == 1


def test_a_silent_hub_costs_the_timeout_and_the_commit_is_there_once(hub, repository, monkeypatch):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    monkeypatch.setattr(hub_client, "_ANSWER_S", 0.2)
    hub_client._install_client.cache_clear()
    try:
        hub.fault("POST", "/commit/main", delay_s=0.5)
        second = repository.commit([Add("b.txt", b"2")], "two", first)
    finally:
        monkeypatch.undo()
        hub_client._install_client.cache_clear()
    assert [commit.revision for commit in repository.history()] == [second, first]


def test_a_tag_whose_answer_was_lost_is_set(hub, repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    hub.fault("POST", "/tag/", drop="after")
    repository.tag("v1", first)
    assert repository.tags() == {"v1": first}


def test_a_gitignore_in_the_repository_drops_nothing(repository):
    first = repository.commit([Add(".gitignore", b"*.jsonl\n")], "one", None)
    second = repository.commit([Add("data/a.jsonl", b"{}")], "two", first)
    assert repository.files(second) == (".gitignore", "data/a.jsonl")


# a Hub that is busy, away or unwilling


def test_a_busy_hub_is_asked_again_within_bounds_then_named_in_one_sentence(hub, repository):
    hub.fault(".*", ".*", status=503, times=None)
    with pytest.raises(RepositoryError) as refused:
        repository.head()
    assert str(refused.value) == (
        "The Hub repository org/feedback could not be reached, tried 6 times: status 503."
    )
    assert len(hub.log) == 6


def test_retry_after_is_waited_for_even_where_the_client_would_retry_by_itself(hub, tmp_path):
    waits = []
    retries = Retries(RetryPolicy(), "The Hub", waits.append, lambda low, high: 0.0)
    repository = HubRepository(
        DATASET, "dataset", token=WRITE_TOKEN, endpoint=hub.url, cache=tmp_path, retries=retries
    )
    hub.fault("POST", "/preupload/", status=429, headers={"Retry-After": "3"})
    hub.fault("POST", "/commit/", status=429, headers={"RateLimit": '"api";r=0;t=4'})
    repository.commit([Add("a.txt", b"1")], "one", None)
    assert waits == [3.0, 4.0]


def test_a_hub_that_is_down_is_told_so_and_works_again_when_it_is_back(hub, repository):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    hub.stop()
    with pytest.raises(RepositoryError, match="could not be reached"):
        repository.head()
    hub.start()
    assert repository.head() == first


def test_a_refused_token_is_an_error_at_once_and_not_an_empty_repository(hub, repository, tmp_path):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    for token in ("hf_wrong", None):
        with hub.logged() as requests, pytest.raises(RepositoryError, match="check the token"):
            open_repository(hub.url, tmp_path / "x", token=token).head()
        assert len(requests) == 1
    reader = open_repository(hub.url, tmp_path / "reader", token=READ_TOKEN)
    assert reader.read("a.txt", first) == b"1"
    with pytest.raises(RepositoryError, match="status 403"):
        reader.commit([Add("b.txt", b"2")], "two", first)


def test_a_card_the_hub_calls_invalid_commits_nothing(repository):
    with pytest.raises(RepositoryError, match="front matter"):
        repository.commit([Add("README.md", b"---\nno: end\n")], "one", None)
    assert repository.head() is None


# large files


def test_large_files_travel_apart_and_once(hub, repository, tmp_path):
    (tmp_path / "model.npz").write_bytes(bytes(range(256)) * 100)
    hub.fault("PUT", "/lfs/", status=503)
    hub.fault("POST", "/commit/", status=503)
    operations = [Add("model.npz", tmp_path / "model.npz"), Add("b.bin", b"b" * 5000), Add("small", b"1")]
    first = repository.commit(operations, "one", None)
    assert sum(entry.status == 200 for entry in asked(hub, "PUT", "/lfs/")) == 2
    assert len(hub.repo("dataset", DATASET).large) == 2
    with hub.logged() as later:
        second = repository.commit([*operations[:2], Add("small", b"2")], "two", first)
    assert not any(entry.method == "PUT" for entry in later), "what the parent holds is not sent again"
    assert (repository.snapshot(second) / "model.npz").read_bytes() == (tmp_path / "model.npz").read_bytes()


# snapshots


def test_a_snapshot_fetches_only_what_is_new(hub, repository):
    first = repository.commit([Add(f"data/{i}.txt", b"%d" % i) for i in range(20)], "one", None)
    repository.snapshot(first)
    second = repository.commit([Add("data/new.txt", b"new")], "two", first)
    with hub.logged() as fetched:
        assert len(list(repository.snapshot(second).glob("data/*"))) == 21
    assert [entry.url.rpartition("/")[2] for entry in fetched if "/resolve/" in entry.url] == ["new.txt"]


def test_a_snapshot_once_made_needs_no_hub(hub, repository, tmp_path):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    folder = repository.snapshot(first)
    hub.stop()
    again = open_repository(hub.url, tmp_path / "cache")
    assert again.snapshot(first) == folder and again.files(first) == ("a.txt",)


def test_a_download_that_breaks_off_is_fetched_again(hub, repository):
    first = repository.commit([Add("a.txt", b"1"), Add("l.bin", b"2" * 9000)], "one", None)
    hub.fault("GET", "/resolve/", drop="before", times=2)
    hub.fault("GET", "/lfs/", status=503)
    assert (repository.snapshot(first) / "l.bin").read_bytes() == b"2" * 9000


def test_content_that_is_not_what_the_listing_names_is_never_seen(hub, repository, tmp_path):
    first = repository.commit([Add("a.txt", b"right"), Add("b.txt", b"also")], "one", None)
    server = hub.repo("dataset", DATASET)
    oid = server.commits[first].tree["a.txt"].oid
    server.blobs[oid] = b"wrong"
    with pytest.raises(RepositoryError, match="did not arrive"):
        repository.snapshot(first)
    with pytest.raises(RepositoryError):
        repository.read("a.txt", first)
    assert not list(tmp_path.glob("cache/*/snapshots/*"))
    server.blobs[oid] = b"right"
    assert (repository.snapshot(first) / "a.txt").read_bytes() == b"right"


def test_a_path_of_a_hostile_hub_is_never_written(hub, repository, other, tmp_path):
    first = repository.commit([Add("a.txt", b"1")], "one", None)
    server = hub.repo("dataset", DATASET)
    commit = server.commits[first]
    commit.tree["../../outside"] = commit.tree["a.txt"]  # type: ignore[index]
    with pytest.raises(RepositoryError, match="not usable"):
        other.snapshot(first)
    assert not list(tmp_path.rglob("outside"))


def test_an_answer_that_is_no_json_is_one_sentence(hub, repository):
    repository.commit([Add("a.txt", b"1")], "one", None)
    hub.fault("GET", "/refs", status=200)
    with pytest.raises(RepositoryError, match="cannot be used"):
        repository.head()
    assert json.dumps(repository.tags()) == "{}"


def test_a_new_space_is_empty_though_the_hub_wrote_its_readme(hub, tmp_path):
    space = HubRepository("org/demo", "space", token=WRITE_TOKEN, endpoint=hub.url, cache=tmp_path)
    hub_client.HubClient("org/demo", "space", WRITE_TOKEN, hub.url, Retries(RetryPolicy(), "x")).create(True)
    assert space.head() is None and hub.repo("space", "org/demo").private
    first = space.commit([Add("README.md", b"ours")], "first", None)
    assert space.files(first) == ("README.md",) and [c.message for c in space.history()] == ["first"]
    assert (space.snapshot(first) / "README.md").read_bytes() == b"ours"


def test_what_would_change_is_told_without_changing_it(hub, repository):
    first = repository.commit([Add("a", b"1"), Add("b", b"2"), Add("c", b"3")], "first", None)
    pending = repository.pending([Add("a", b"1"), Add("b", b"3"), Delete("c")], first)
    assert pending == [Add("b", b"3"), Delete("c")] and repository.head() == first
    with pytest.raises(RepositoryError):
        repository.pending([Delete("none")], first)
