"""An empty account on a loopback Hub, and the environment of somebody who deploys there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraud.cli import main
from tests.hub.clients import QUICK
from tests.hub.server import WRITE_TOKEN, LoopbackHub

SPACE, DATASET, MODELS = "org/demo", "org/feedback", "org/models"
PASSWORD = "correct horse battery"  # noqa: S105
HOOK = "a-secret-of-the-hubs-webhook"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    for module in ("fraud.repositories.hub", "fraud.repositories.retries", "fraud.wiring"):
        monkeypatch.setattr(f"{module}.RetryPolicy", lambda **_: QUICK)
    with LoopbackHub(page=500) as hub:
        yield hub


@pytest.fixture
def environment(hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_HUB_ENDPOINT": hub.url,
        "FRAUD_REVIEW_PASSWORD": PASSWORD,
        "FRAUD_HUB_WEBHOOK_SECRETS": HOOK,
        "FRAUD_AUDIT_SHARE": "0.1",
        "FRAUD_FEEDBACK_DIR": str(tmp_path / "feedback"),
        "FRAUD_REGISTRY_DIR": str(tmp_path / "registry"),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def deploy(environment: None, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return what runs the command and gives back its exit code and all that it said."""

    def run(*more: str) -> tuple[int, str]:
        code = main(["deploy", "--space", SPACE, "--dataset", DATASET, "--model", MODELS, *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run
