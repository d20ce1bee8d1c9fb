"""From an empty account to a Space: what its repository holds, in a clean directory, is the whole demo."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from fraud.cli import main
from fraud.feedback.dataset import read_events
from fraud.registry import ModelRegistry
from fraud.repositories.hub import HubRepository
from tests.demo import ROOT, Demo, free_port, wait_for
from tests.hub.server import WRITE_TOKEN, LoopbackHub
from tests.releases import make_release

SPACE, DATASET, MODELS = "org/demo", "org/feedback", "org/models"
CLEAN = "FRAUD_CLEAN_ENVIRONMENT"
"""Set to 1 to install the Space's requirements into a new environment first, as a Space does: minutes."""


def deploy(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, elsewhere: Path) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name, value in {
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_HUB_ENDPOINT": hub.url,
        "FRAUD_HUB_WEBHOOK_SECRETS": "a-secret-of-the-hubs-webhook",
        "FRAUD_PSEUDONYM_KEY": "kept-across-restarts",
        "FRAUD_COMMIT_SECONDS": "0.2",
        "FRAUD_REFRESH_SECONDS": "3600",  # so that only the webhook can bring the new release
        "FRAUD_FEEDBACK_DIR": str(elsewhere / "feedback"),
        "FRAUD_REGISTRY_DIR": str(elsewhere / "registry"),
    }.items():
        monkeypatch.setenv(name, value)
    assert main(["deploy", "--space", SPACE, "--dataset", DATASET, "--model", MODELS]) == 0


def started(hub: LoopbackHub, directory: Path) -> dict[str, str]:
    """Return the environment that the Hub gives the Space; but it listens on loopback only."""
    space = hub.repo("space", SPACE)
    secrets = {name: value for name, (value, _) in space.secrets.items()}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "SYSTEM": "spaces",
        "SPACE_ID": SPACE,
        "FRAUD_HOST": "127.0.0.1",
        "FRAUD_PORT": str(free_port()),
        **secrets,
        **space.variables,
    }


def interpreter(directory: Path, requirements: Path) -> str:
    if os.environ.get(CLEAN) != "1":
        return sys.executable
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    subprocess.run(install, check=True)
    return python


def tell(hub: LoopbackHub, demo: Demo, secret: str) -> httpx.Response:
    """Send what the Hub sends to its one webhook, to where the Space really listens."""
    webhook = hub.webhooks[0]
    moved = {"ref": "refs/heads/main", "newSha": hub.repo("model", MODELS).branches["main"]}
    body = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": MODELS},
        "updatedRefs": [moved],
    }
    path = webhook["url"].removeprefix("https://org-demo.hf.space")
    return httpx.post(demo.url + path, json=body, headers={"X-Webhook-Secret": secret}, timeout=60)


def test_a_deployed_space_serves_flags_and_follows_a_promotion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackHub(page=500) as hub:
        deploy(hub, monkeypatch, tmp_path / "elsewhere")

        def repository(kind: str, name: str) -> HubRepository:
            cache = tmp_path / "cache"
            return HubRepository(name, kind, token=WRITE_TOKEN, endpoint=hub.url, cache=cache)  # type: ignore[arg-type]

        space = repository("space", SPACE)
        clean = tmp_path / "space"
        shutil.copytree(space.snapshot(space.head() or ""), clean, copy_function=shutil.copyfile)
        python = interpreter(tmp_path / "venv", clean / "requirements.txt")
        demo = Demo(started(hub, tmp_path), tmp_path / "demo.log", cwd=clean, python=python)
        try:
            assert "Fraud" in httpx.get(demo.url, timeout=60).text
            assert demo.get("/v1/version")["revision"] == hub.repo("model", MODELS).tags["v1.0.0"]

            example = httpx.get(f"{demo.url}/v1/examples", timeout=60).json()[0]["transaction"]
            scored = demo.post("/v1/score", {"transaction": example})
            flag = {"verdict": "right", "label": "legitimate", "consent": True}
            receipt = demo.post("/v1/flags", flag | {"prediction_id": scored["prediction_id"]})
            path = f"/v1/flags/{receipt['receipt_id']}"
            wait_for(lambda: demo.get(path)["state"] == "committed")
            dataset = repository("dataset", DATASET)
            events, bad = read_events(dataset, dataset.head() or "")
            assert len(events) == 2 and not bad

            registry = ModelRegistry(repository("model", MODELS))
            registry.record(make_release(ROOT / "artifacts", tmp_path / "made", "1.0.1"), "Record 1.0.1")
            registry.promote("1.0.1")
            assert tell(hub, demo, "not-the-secret").status_code == 401
            assert demo.get("/v1/version")["version"] == "1.0.0"
            assert tell(hub, demo, hub.webhooks[0]["secret"]).status_code == 202
            wait_for(lambda: demo.get("/v1/version")["version"] == "1.0.1")
            demo.stop()
        finally:
            if demo.process.poll() is None:
                demo.kill()
    log = (tmp_path / "demo.log").read_text()
    assert "Traceback" not in log and WRITE_TOKEN not in log
