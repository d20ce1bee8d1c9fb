"""The real app.py, started while its Hub is down: it serves and takes flags, commits when it is back."""

import os
from pathlib import Path

import httpx

from tests.demo import Demo, free_port, wait_for
from tests.hub.server import WRITE_TOKEN, LoopbackHub


def test_the_demo_starts_and_serves_while_its_hub_is_down(tmp_path: Path, small_bundle: Path) -> None:
    hub = LoopbackHub()
    hub.start()
    hub.stop()  # its port is known, and nobody answers there
    environment = os.environ | {
        "FRAUD_PORT": str(free_port()),
        "FRAUD_ARTIFACTS_DIR": str(small_bundle),
        "FRAUD_REGISTRY_DIR": str(tmp_path / "registry"),
        "FRAUD_FEEDBACK_DIR": str(tmp_path / "feedback"),
        "FRAUD_DATASET_REPO": "org/feedback",
        "FRAUD_MODEL_REPO": "org/models",
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_HUB_ENDPOINT": hub.url,
        "FRAUD_COMMIT_SECONDS": "0.2",
        "FRAUD_REFRESH_SECONDS": "0.2",
    }
    demo = Demo(environment, tmp_path / "demo.log")
    try:
        assert "could not be reached" in " ".join(demo.get("/readyz")["problems"])
        example = httpx.get(f"{demo.url}/v1/examples", timeout=60).json()[0]["transaction"]
        scored = demo.post("/v1/score", {"transaction": example})
        flag = {
            "prediction_id": scored["prediction_id"],
            "verdict": "right",
            "label": "legitimate",
            "consent": True,
        }
        path = f"/v1/flags/{demo.post('/v1/flags', flag)['receipt_id']}"
        assert demo.get(path)["state"] == "saved"
        with hub:
            wait_for(lambda: demo.get(path)["state"] == "committed")
            wait_for(lambda: not demo.get("/readyz")["problems"])
            demo.stop()
    finally:
        if demo.process.poll() is None:
            demo.kill()
    log = (tmp_path / "demo.log").read_text()
    assert "Traceback" not in log and WRITE_TOKEN not in log and "HTTP Request" not in log
