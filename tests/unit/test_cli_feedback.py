"""`python -m fraud feedback ...`: each action over a small dataset of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.feedback.store import FeedbackStore
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add
from fraud.service import FraudService
from fraud.serving.champion import Champion
from tests.unit.conftest import NOW


@pytest.fixture
def home(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))
    return tmp_path / "feedback"


@pytest.fixture
def service(home: Path, champion: Champion) -> FraudService:
    store = FeedbackStore(home / "outbox", LocalRepository(home / "dataset.git"), "test")
    return FraudService(champion, store, node="test", pseudonym_key=b"key", clock=lambda: NOW)


@pytest.fixture
def flag(service: FraudService) -> Callable[..., str]:
    def flag(comment: str = "") -> str:
        prediction = service.score(dict(service.examples()[0]["transaction"]))
        receipt = service.flag(
            prediction.prediction_id, "wrong", label="fraud", comment=comment, consent=True
        )
        service.drain()
        return receipt.receipt_id

    return flag


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["feedback", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_stats_and_diff_say_what_is_there_and_what_came(service, flag, run, home) -> None:
    flag()
    first = LocalRepository(home / "dataset.git").head()
    flag()
    code, said = run("stats")
    assert code == 0 and "flag 2, prediction 2" in said and "2026-11-22      2 flags" in said
    code, said = run("diff", first[:10], LocalRepository(home / "dataset.git").head())
    assert code == 0 and said == "+ flag 1, prediction 1; labels of flags: fraud 1\n- none\n"


def test_verify_is_silent_about_what_is_sound_and_exits_1_with_reasons(service, flag, run, home) -> None:
    flag()
    assert run("verify") == (0, "1 committed receipts and 2 events checked\n")
    repository = LocalRepository(home / "dataset.git")
    content = b'{"\\u001b[31mred":1}'
    repository.commit([Add("data/train-20990101-zz-1.jsonl", content)], "\x1b[31m", repository.head())
    code, said = run("verify")
    assert code == 1 and "data/train-20990101-zz-1.jsonl, line 1" in said
    assert "\x1b" not in said, "a pushed row cannot steer the terminal"
    assert "\x1b" not in run("log")[1]


def test_compact_tags_what_it_merged_and_pull_finds_it(service, flag, run, tmp_path) -> None:
    flag(), flag()
    code, said = run("compact", "--tag", "2026-11")
    assert code == 0 and said.startswith("2 shards merged into 1, each with Parquet beside it\n2026-11 is")
    assert run("compact", "--tag", "2026-11")[1].startswith("nothing to merge\n")
    code, said = run("pull", "--revision", "2026-11", "--out", str(tmp_path / "out"))
    assert code == 0 and said.startswith("4 events of revision")


def test_purge_says_what_it_means_and_does_nothing_without_yes(service, flag, run, home) -> None:
    receipt = flag("secret words")
    code, said = run("purge", "--receipt", receipt)
    assert code == 2 and "withdraw it first" in said
    service.withdraw(receipt)
    service.drain()
    head = LocalRepository(home / "dataset.git").head()
    code, said = run("purge", "--receipt", receipt)
    assert code == 1 and "add --yes" in said and "1 of 2 revisions hold" in said and "retrain" in said
    assert LocalRepository(home / "dataset.git").head() == head
    code, said = run("purge", "--receipt", receipt, "--yes")
    assert code == 0 and f"{head} is now {LocalRepository(home / 'dataset.git').head()}" in said
    assert run("verify")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [["stats"], ["diff", "a", "b"], ["compact", "--tag", "t"], ["purge", "--receipt", "f_1"],
     ["compact", "--tag", "no tag"]],
)  # fmt: skip
def test_without_a_dataset_there_is_one_sentence(home, run, arguments) -> None:
    code, said = run(*arguments)
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1


def test_verify_makes_no_outbox_where_there_is_none(home, run) -> None:
    assert run("verify") == (0, "0 committed receipts and 0 events checked\n")
    assert not (home / "outbox").exists()
