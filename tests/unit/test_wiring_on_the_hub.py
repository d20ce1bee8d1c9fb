"""Settings choose the Hub or the disk; a service starts without its Hub and catches up when it is back."""

from pathlib import Path

import pytest

from fraud.cli import main
from fraud.errors import SettingsError
from fraud.feedback.dataset import read_events
from fraud.registry import Aliases
from fraud.repositories.hub import HubRepository
from fraud.repositories.local import LocalRepository
from fraud.settings import Settings, read_settings
from fraud.wiring import build_service, dataset_repository, model_registry
from tests.hub.clients import QUICK
from tests.hub.server import WRITE_TOKEN, LoopbackHub


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Keep the attempts, cut the waits."""
    for module in ("fraud.repositories.hub", "fraud.wiring"):
        monkeypatch.setattr(f"{module}.RetryPolicy", lambda **_: QUICK)


@pytest.fixture
def hub():
    with LoopbackHub(lfs_threshold=50_000) as hub:
        yield hub


def environment(hub: LoopbackHub, directory: Path, artifacts: Path | None = None) -> dict[str, str]:
    return {
        "FRAUD_DATASET_REPO": "org/feedback",
        "FRAUD_MODEL_REPO": "org/models",
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_HUB_ENDPOINT": hub.url,
        "FRAUD_FEEDBACK_DIR": str(directory / "feedback"),
        "FRAUD_REGISTRY_DIR": str(directory / "registry"),
        "FRAUD_ARTIFACTS_DIR": str(artifacts or directory),
        "FRAUD_NODE": "n1",
    }


def settings(hub: LoopbackHub, directory: Path, artifacts: Path | None = None) -> Settings:
    return read_settings(environment(hub, directory, artifacts))


def flag_something(service) -> str:
    transaction = service.examples()[0]["transaction"]
    prediction = service.score(transaction)
    return service.flag(prediction.prediction_id, "right", label="legitimate", consent=True).receipt_id


def test_without_a_hub_everything_is_on_this_disk(tmp_path):
    local = read_settings({"FRAUD_FEEDBACK_DIR": str(tmp_path), "HF_TOKEN": "hf_unused"})
    assert isinstance(dataset_repository(local), LocalRepository)
    assert (local.feedback.commit_seconds, local.models.refresh_seconds) == (2.0, 2.0)


def test_a_named_repository_is_on_the_hub_and_is_asked_less_often(hub, tmp_path):
    chosen = settings(hub, tmp_path)
    assert isinstance(dataset_repository(chosen), HubRepository)
    assert model_registry(chosen).aliases() == Aliases()
    assert (chosen.feedback.commit_seconds, chosen.models.refresh_seconds) == (60.0, 30.0)


def test_the_token_is_in_no_representation(hub, tmp_path):
    chosen = settings(hub, tmp_path)
    assert chosen.hub.token == WRITE_TOKEN
    assert WRITE_TOKEN not in repr(chosen) + repr(dataset_repository(chosen))
    assert read_settings({"HF_TOKEN": WRITE_TOKEN}).hub.token == WRITE_TOKEN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FRAUD_DATASET_REPO", "feedback"),
        ("FRAUD_DATASET_REPO", "org/../other"),
        ("FRAUD_MODEL_REPO", "a/b/c"),
        ("FRAUD_HUB_ENDPOINT", "http://hub.example"),
        ("FRAUD_HUB_ENDPOINT", "hub.example"),
    ],
)
def test_an_unusable_address_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_a_service_starts_without_its_hub_and_catches_up(hub, tmp_path, small_bundle):
    hub.stop()
    chosen = settings(hub, tmp_path, small_bundle)
    service = build_service(chosen)
    service.check()
    assert service.model_version.revision is None, "the shipped version serves"
    assert "could not be reached" in " ".join(service.problems)
    receipt = flag_something(service)
    assert "could not be reached" in service.drain() and service.backlog() == 1
    assert service.refresh() is False

    hub.start()
    registry = model_registry(chosen)
    revision = registry.record(small_bundle, "Record 1.0.0")
    registry.promote("1.0.0")
    assert service.refresh() is True
    assert service.model_version.revision == revision
    assert hub.repo("model", "org/models").large, "the models went as large files"
    assert service.drain() is None and service.receipt(receipt).committed
    assert not service.problems
    dataset = dataset_repository(chosen)
    assert len(read_events(dataset, dataset.head())[0]) == 2

    hub.stop()  # and a Hub that goes away later changes nothing for those who score
    assert service.refresh() is False and "could not be reached" in " ".join(service.problems)
    assert service.model_version.revision == revision
    hub.start()
    assert service.refresh() is False and not service.problems
    service.close()


def test_a_start_without_a_hub_and_an_empty_registry_forgets_the_problem(hub, tmp_path, small_bundle):
    hub.stop()
    service = build_service(settings(hub, tmp_path, small_bundle))
    service.check()
    hub.start()
    assert service.refresh() is False and not service.problems
    service.close()


def test_the_command_line_reads_the_same_repositories(hub, tmp_path, small_bundle, monkeypatch, capsys):
    for name, value in environment(hub, tmp_path, small_bundle).items():
        monkeypatch.setenv(name, value)
    service = build_service(read_settings())
    flag_something(service)
    assert service.drain() is None
    service.close()
    registry = model_registry(read_settings())
    registry.record(small_bundle, "Record 1.0.0")
    assert main(["feedback", "log"]) == 0
    assert main(["feedback", "pull", "--out", str(tmp_path / "pulled")]) == 0
    assert main(["promote", "1.0.0"]) == 0
    assert main(["versions"]) == 0
    said = capsys.readouterr()
    assert dataset_repository(read_settings()).head()[:12] in said.out
    assert "1.0.0" in said.out and "champion" in said.out and WRITE_TOKEN not in said.out + said.err
    hub.stop()
    assert main(["feedback", "log"]) == 2
    assert capsys.readouterr().err.count("\n") == 1, "one sentence"
