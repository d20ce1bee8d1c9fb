"""The chapters of the story of tests/integration/test_documented_commands.py: what an operator types.

Each asserts what the documents claim of its commands, not only that they end well.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest

from fraud import cli_cluster, wiring
from fraud.data.profile import load_profile
from fraud.data.simulate import simulate
from fraud.settings import Settings, read_settings
from fraud.ui.programs import ADDRESS, snippets
from fraud.webhooks.endpoints import parse_endpoints
from fraud.webhooks.signing import check_secrets
from fraud.wiring import build_service, model_registry
from tests.demo import ROOT, free_port, wait_for
from tests.documents import documented
from tests.hub.server import LoopbackHub
from tests.operators_home import Operator, write_own_table
from tests.unit.webhooks.conftest import SECRET, Receiver

SETTINGS: dict[str, Callable[[Settings], bool]] = {
    "FRAUD_FOREST_ENGINE=scikit-learn": lambda s: s.models.forest_engine == "scikit-learn",
    "FRAUD_ANSWER_ERROR=0": lambda s: s.monitoring.answer_error == 0,
    "FRAUD_MCP=1": lambda s: s.server.mcp,
    "FRAUD_APPROVAL=manual": lambda s: s.releases.automatic is False,
    "FRAUD_APPROVAL=automatic": lambda s: s.releases.automatic is True,
    "FRAUD_POLICY=policy.json": lambda s: s.models.policy == Path("policy.json"),
    "FRAUD_SHADOW=1": lambda s: s.releases.shadow,
    "FRAUD_REVIEWERS=ana,the-team": lambda s: s.review.reviewers == ("ana", "the-team"),
    "FRAUD_ARTIFACTS_DIR=my_bundle": lambda s: s.models.artifacts == Path("my_bundle"),
    "FRAUD_WEBHOOKS=https://node-a.example/hook,https://node-b.example/hook": lambda s: (
        len(parse_endpoints(s.webhooks.endpoints, (SECRET,))) == 2
    ),
}
"""What a document says of a variable alone -> what it is read as."""


def looks_around(o: Operator) -> None:
    assert "champion shipped" in o.types("python -m fraud versions")
    for name in (
        "python -m fraud deploy",
        "python -m fraud score",
        "python -m fraud simulate",
        "python -m fraud tune",
    ):
        assert "usage: " in o.types(name, "--help")
    for target in {command.split()[1] for command in documented() if command.startswith("make ")}:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True)
    key, digest = re.findall(r": (\S+)$", o.types("python -m fraud key"), re.MULTILINE)
    assert hashlib.sha256(key.encode()).hexdigest() == digest
    assert "wrote docs/openapi.json" in o.types("python -m fraud schema --out docs")
    made, kept = (json.loads((top / "docs/openapi.json").read_text()) for top in (o.home, ROOT))
    assert made["paths"].keys() == kept["paths"].keys()
    o.types(
        'python -c "import time; from fraud.data.simulate import simulate; t = time.time(); '
        'print(len(simulate(1_000_000)), time.time() - t)"'
    )
    said = o.types(
        'python -c "from fraud.data.simulate import simulate; '
        "print(simulate().groupby('typology').is_fraud.agg(['size', 'sum']))\""
    )
    assert "skimmed_merchant" in said
    assert "wrote" in o.types("python -m fraud figures")
    o.types("python -m fraud simulate --out big --rows 10000000 --days 270")
    assert list((o.home / "big").iterdir())
    for setting, means in SETTINGS.items():
        assert means(o.reads(setting)), setting
    with o.demo('FRAUD_REVIEW_PASSWORD="at least twelve characters" make demo') as web:
        kinds = {part["props"].get("type") for part in web.get("/config").json()["components"]}
        assert "password" in kinds, "the Review tab asks for it"


def tries_a_table_of_their_own(o: Operator) -> None:
    write_own_table(o.home / "my.csv")
    o.types("python -m fraud profile infer my.csv --label is_fraud --time when --entity card --out my.toml")
    said = o.types("python -m fraud train --profile my.toml --data my.csv --out my_bundle")
    assert "wrote my_bundle" in said
    with o.demo("FRAUD_ARTIFACTS_DIR=my_bundle make demo") as web:
        assert "kind" in web.get("/v1/profile").text
    shutil.copy(o.home / "my.toml", o.home / "P.toml")
    quickly = ("--models", "random_forest", "--folds", "2")
    checked = o.types("python -m fraud tune --check --profile P --data FILE", *quickly)
    assert "no search" in checked
    found = o.types("python -m fraud tune ... --write P.toml", *quickly, "--study", "study.journal")
    assert "1 trials" in found and "wrote [models] of P.toml" in found
    assert load_profile(str(o.home / "P.toml")).models.random_forest


def makes_keys(o: Operator) -> None:
    said = o.types("python -m fraud keys new")
    for name in ("FRAUD_SIGNING_KEY", "FRAUD_TRUSTED_KEYS"):
        found = re.search(rf"{name}=(\S+)", said)
        assert found
        o.stands_for[f"{name}=..."] = found[0]
    o.types("export FRAUD_SIGNING_KEY=...")
    o.types("export FRAUD_TRUSTED_KEYS=...")
    assert "1.0.0 is the champion" in o.types("python -m fraud promote 1.0.0"), "signed in the registry"
    shown = o.types("python -m fraud keys show")
    assert shown.count(os.environ["FRAUD_TRUSTED_KEYS"]) == 2 and os.environ["FRAUD_SIGNING_KEY"] not in shown


def scores_and_flags(o: Operator, web: httpx.Client) -> list[str]:
    o.stands_for["http://127.0.0.1:7860"] = str(web.base_url).rstrip("/")
    examples = [each["transaction"] for each in web.get("/v1/examples").json()]
    (o.home / "rows.ndjson").write_text("".join(json.dumps(each) + "\n" for each in examples))
    said = o.types(
        "curl --data-binary @rows.ndjson -H 'content-type: application/x-ndjson' "
        "http://127.0.0.1:7860/v1/score/batch"
    )
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line["row"] for line in lines] == list(range(1, len(examples) + 1))
    for name in ("curl", "table"):
        pasted = snippets(examples[0])[name].replace(ADDRESS, o.stands_for["http://127.0.0.1:7860"])
        done = subprocess.run(["bash", "-euc", pasted], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["model_version"] == "1.0.0"
    with (o.home / "rows.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, examples[0])
        writer.writeheader()
        writer.writerows(examples)
    for command in (
        "python -m fraud score FILE --out scored.parquet",
        "python -m fraud score FILE --out x.parquet",
    ):
        assert f"scored {len(examples)} rows" in o.types(command)
    receipts = []
    for transaction in examples[:2]:
        scored = web.post("/v1/score", json={"transaction": transaction}).json()
        flag = {
            "prediction_id": scored["prediction_id"],
            "verdict": "wrong",
            "label": "fraud",
            "consent": True,
        }
        receipts.append(str(web.post("/v1/flags", json=flag).raise_for_status().json()["receipt_id"]))
    for receipt in receipts:
        wait_for(lambda receipt=receipt: web.get(f"/v1/flags/{receipt}").json()["state"] == "committed")
    o.stands_for |= {"RECEIPT": receipts[0], "f_01...": receipts[1]}
    return receipts


def reads_the_feedback(o: Operator) -> None:
    assert "2 submissions, 4 rows" in o.types("python -m fraud feedback log")
    o.types("python -m fraud feedback pull --out pulled")
    events = pd.read_parquet(o.home / "pulled/events.parquet")["event"]
    assert sorted(events) == ["flag", "flag", "prediction", "prediction"]
    assert "fraud 2" in o.types("python -m fraud feedback stats")
    assert "counts as fraud" in o.types("python -m fraud feedback why RECEIPT")
    assert o.types("python -m fraud feedback verify").startswith("2 committed receipts")


def names_a_receiver(o: Operator, receiver: Receiver) -> None:
    document = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")
    shown = re.search(r"```toml\n(.*?)```", document, re.S)
    assert shown
    text = (
        shown[1].replace("https://node-a.example/webhooks/model", receiver.url()).replace("whsec_...", SECRET)
    )
    secret = re.search(r"whsec_\S+", o.types("echo whsec_$(openssl rand -base64 32)"))
    assert secret
    (o.home / "webhooks.toml").write_text(text.replace("whsec_...", secret[0]))
    (o.home / "webhooks.toml").chmod(0o600)
    o.types("export FRAUD_HUB_WEBHOOK_SECRETS=$(openssl rand -base64 32)")
    o.types("export FRAUD_WEBHOOKS=webhooks.toml")
    assert "node-a" in o.types("python -m fraud webhooks list")
    assert "node-a: 200" in o.types("python -m fraud webhooks test node-a")
    assert "nothing failed" in o.types("python -m fraud webhooks list --failed")


def retrains(o: Operator, web: httpx.Client, receiver: Receiver) -> None:
    """Go through the exit codes of docs/retraining.md: 1 refused, 0 nothing due, 0 promoted, 2 an error."""
    assert "newer.parquet" in o.types("python -m fraud retrain --data newer.parquet", code=2)
    refused = o.types("python -m fraud retrain", code=1)
    assert "refused: the champion stays" in refused
    report = re.search(r"report: (\S+)", refused)
    assert report and (Path(report[1]).parent / "run.json").is_file() and Path(report[1]).is_file()
    assert "nothing to do" in o.types("python -m fraud retrain")
    assert "1 of 50 uses" in o.types("python -m fraud gold")
    # A handful of held-out frauds cannot prove a margin of 0.02; the gate's own figures are tested elsewhere.
    assert "promoted 1.0.1" in o.types("python -m fraud retrain --force --promote", "--margin", "0.5")
    wait_for(lambda: web.get("/v1/version").json()["version"] == "1.0.1")
    assert "410" in o.types("python -m fraud webhooks list --failed")
    assert "node-a is on" in o.types("python -m fraud webhooks enable node-a")
    assert "1 deliveries are due now" in o.types("python -m fraud webhooks replay --failed")
    assert "1 of 1 delivered" in o.types("python -m fraud webhooks send-pending")
    assert json.loads(receiver.requests[-1].body)["data"]["version"] == "1.0.1"


def lets_a_trainer_do_it(o: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    o.stands_for["--listen 7890"] = f"--listen {port}"
    heard: list[int] = []

    def interrupted(seconds: float, moved: object) -> None:
        if moved is not None:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"))
            heard.append(httpx.post(f"http://127.0.0.1:{port}/webhooks/dataset", json={}).status_code)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_cluster, "_pause", interrupted)
    for command in ("python -m fraud trainer", "python -m fraud trainer --listen 7890"):
        said = o.types(command, code=2)
        assert "nothing to do" in said and said.endswith("interrupted\n")
    assert heard == [401], "without the secret nobody wakes it"


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def moves_the_window(o: Operator) -> None:
    simulate(n_transactions=50_222, days=113, seed=5).to_parquet(o.home / "newer.parquet", index=False)
    said = o.types("python -m fraud gold --test-start 2026-09-14 --data newer.parquet")
    assert "judged by 2026-03-29" in said and "0 of 50 uses" in said
    said = o.types("python -m fraud retrain --data newer.parquet", "--margin", "0.5")
    assert "1.0.2 is waiting for approval" in said


def promotes_and_goes_back(o: Operator, web: httpx.Client) -> None:
    assert "promoted 1.0.2" in o.types("python -m fraud promote")
    wait_for(lambda: web.get("/v1/version").json()["version"] == "1.0.2")
    listed = o.types("python -m fraud versions").splitlines()
    assert listed[0].startswith("1.0.2") and listed[0].endswith("champion") and "(trusted)" in listed[0]
    assert "rolled back to 1.0.1" in o.types("python -m fraud rollback")
    wait_for(lambda: web.get("/v1/version").json()["version"] == "1.0.1")
    assert "1.0.1 is the champion already" in o.types("python -m fraud promote 1.0.1")
    model_registry(read_settings()).set_challenger("1.0.2")
    assert "rejected 1.0.2" in o.types("python -m fraud reject")
    decisions = o.types("python -m fraud versions --decisions")
    for action in ("promote", "rollback", "reject"):
        assert f"  {action}" in decisions
    assert "FRAUD_SHADOW=1" in o.types("python -m fraud versions --shadow")


def watches(o: Operator) -> None:
    o.stands_for["2026-10-18T00:00Z"] = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:00Z}"
    for command in (
        "python -m fraud monitor",
        "python -m fraud monitor --window 14d",
        "python -m fraud monitor --window 28d",
        "python -m fraud monitor --until 2026-10-18T00:00Z",
    ):
        assert "Insufficient evidence" in o.types(command, code=3)
    said = o.types("python -m fraud monitor --window 14d --language pt-BR", code=3)
    assert "Evid\u00eancia insuficiente" in said
    report = o.home / "feedback_store/monitoring/report"
    assert {path.name for path in report.iterdir()} >= {"report.html", "report.json", "metrics.prom"}


def deploys(o: Operator, hub: LoopbackHub) -> None:
    o.sets(FRAUD_HUB_ENDPOINT=hub.url, FRAUD_WEBHOOKS="")
    o.types("export HF_TOKEN=...")
    o.types("export FRAUD_HUB_TOKEN=...")
    said = o.types("python -m fraud deploy --space ORG/NAME --dataset ORG/NAME --model ORG/NAME --dry-run")
    assert "nothing was changed" in said and not hub.repos
    assert "done: " in o.types("python -m fraud deploy --space ORG/NAME --dataset ORG/NAME --model ORG/NAME")
    assert {kind for kind, _ in hub.repos} == {"space", "dataset", "model"}
    said = o.types("python -m fraud deploy --space ORG/NAME --dataset ORG/NAME --model ORG/NAME")
    assert "nothing to do" in said
    o.types(
        "python -m fraud deploy --space ORG/NAME --dataset ORG/NAME --model ORG/NAME "
        "--trainer https://HOST/webhooks/dataset"
    )
    assert {webhook["url"] for webhook in hub.webhooks} >= {"https://trainer.example/webhooks/dataset"}


def starts_a_node(o: Operator, web: httpx.Client) -> None:
    o.stands_for |= {
        "https://demo.example": str(web.base_url).rstrip("/"),
        "FRAUD_HOST=0.0.0.0": "FRAUD_HOST=127.0.0.1",
    }
    o.types("export FRAUD_MODEL_REPO=org/models FRAUD_HUB_TOKEN=...")
    o.types("export FRAUD_NODE=node-a FRAUD_HOST=0.0.0.0 FRAUD_PORT=7870")
    o.types("export FRAUD_NODE_SECRETS=whsec_...")
    o.types("export FRAUD_ACKNOWLEDGE_URL=https://demo.example/webhooks/node")
    with o.serving(lambda: o.types_beside("python -m fraud node")) as node:
        assert node.get("/v1/version").json()["version"] == "1.0.0"
        wait_for(lambda: web.get("/v1/nodes").json())
    o.unsets("FRAUD_MODEL_REPO", "FRAUD_NODE", "FRAUD_HOST", "FRAUD_PORT", "FRAUD_ACKNOWLEDGE_URL")
    assert o.types("python -m fraud nodes").startswith("node-a  1.0.0")
    o.types("export FRAUD_NODES=https://node-a.example,https://node-b.example")
    assert len(read_settings().nodes.urls) == 2
    o.unsets("FRAUD_NODES")


def takes_back(o: Operator, web: httpx.Client, receipts: list[str]) -> None:
    said = o.types(
        "curl -X POST http://127.0.0.1:7860/v1/withdrawals -H 'content-type: application/json' "
        """-d '{"receipt_id": "f_01..."}'"""
    )
    assert "receipt_id" in said
    wait_for(lambda: "withdrawal 1" in o.types("python -m fraud feedback stats"))


def purges(o: Operator, receipts: list[str]) -> None:
    said = o.types("python -m fraud feedback purge --receipt f_01...", code=1)
    assert "add --yes to do it" in said
    said = o.types("python -m fraud feedback purge --receipt f_01... --yes")
    assert re.search(r"[0-9a-f]{40} is now [0-9a-f]{40}", said)
    o.types("python -m fraud feedback verify")


def restores_a_backup(o: Operator, receipts: list[str]) -> None:
    """Back up as while the demo runs, lose everything, and put it back."""
    kept, state = o.home / "backup", o.home / "feedback_store"
    for file in sorted(
        path for path in state.rglob("*") if path.is_file() and "dataset.git" not in path.parts
    ):
        copy = kept / file.relative_to(state)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".sqlite3":
            o.stands_for |= {"sqlite3 FILE": f"sqlite3 {file}", ".backup COPY": f".backup {copy}"}
            o.types('sqlite3 FILE ".backup COPY"')
        elif not file.name.endswith(("-wal", "-shm")):
            shutil.copy(file, copy)
    o.stands_for["REPOSITORY COPY"] = f"{state / 'dataset.git'} {kept / 'dataset.git'}"
    o.types("git clone --mirror REPOSITORY COPY")
    shutil.rmtree(state)
    shutil.copytree(kept, state)
    assert o.types("python -m fraud feedback verify").startswith("3 committed receipts")
    made = wiring._pseudonym_key(read_settings().feedback)
    o.types("export FRAUD_PSEUDONYM_KEY=$(cat feedback_store/pseudonym.key)")
    shutil.move(state / "pseudonym.key", o.home / "pseudonym.key")
    assert wiring._pseudonym_key(read_settings().feedback) == made, "everybody is who they were"
    shutil.move(o.home / "pseudonym.key", state / "pseudonym.key")
    o.unsets("FRAUD_PSEUDONYM_KEY")
    with o.demo("make demo") as web:
        assert web.get(f"/v1/flags/{receipts[0]}").json()["state"] == "committed"


def plays_a_production(o: Operator) -> None:
    played = o.home / "played"
    for command in (
        "python -m fraud simulate-production --days N --out DIR",
        "python -m fraud simulate-production --days 90 --out played --event new_typology@30 --hostile 300",
        "python -m fraud simulate-production --days 60 --event new_typology@30 --hostile 300 --out played",
        "python -m fraud simulate-production --days 60 --event new_typology@30 --out played",
    ):
        shutil.rmtree(played, ignore_errors=True)
        assert "the truth is in truth.parquet" in o.types(command)
    assert "new directory" in o.types("python -m fraud simulate-production --days N --out DIR", code=2)
    assert "events" in o.types("FRAUD_FEEDBACK_DIR=played python -m fraud feedback stats")
    assert "events" in o.types("FRAUD_FEEDBACK_DIR=DIR python -m fraud feedback stats")
    shutil.rmtree(o.home / "pulled")
    o.types("FRAUD_FEEDBACK_DIR=played python -m fraud feedback pull --out pulled")
    log = pd.read_parquet(o.home / "pulled/events.parquet")
    truth = pd.read_parquet(played / "truth.parquet")
    kept = set(log["prediction_id"][log["event"] == "prediction"])
    assert kept and kept <= set(truth["prediction_id"]), "joined with truth.parquet"
    o.stands_for["2026-10-18T00:00Z"] = f"{pd.Timestamp(log['recorded_ms'].max(), unit='ms'):%Y-%m-%dT%H:00Z}"
    o.types("python -m fraud monitor --simulated played --until 2026-10-18T00:00Z --window 14d", code=3)
    assert "fraud_monitoring_simulated 1" in (played / "monitoring/report/metrics.prom").read_text()
    with o.demo("FRAUD_MONITORING_DIR=played/monitoring make demo") as web:
        assert web.get("/").status_code == 200
        service = build_service(read_settings())
        shown = service.monitoring()
        service.close()
    assert shown is not None and shown.report["simulated"], "what the Monitoring tab has"


def prepares_containers(o: Operator) -> None:
    shutil.copytree(ROOT / "deploy", o.home / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    o.script(
        "cd deploy/containers/secrets",
        "umask 077",
        "openssl rand -base64 32 > pseudonyms",
        "openssl rand -base64 18 > review",
        "echo whsec_$(openssl rand -base64 32) > nodes",
        "echo whsec_$(openssl rand -base64 32) > acknowledgements",
    )
    secrets = o.home / "deploy/containers/secrets"
    for name in ("pseudonyms", "review", "nodes", "acknowledgements"):
        assert (secrets / name).stat().st_mode & 0o777 == 0o600
    given = {
        "FRAUD_PSEUDONYM_KEY": (secrets / "pseudonyms").read_text().strip(),
        "FRAUD_REVIEW_PASSWORD": (secrets / "review").read_text().strip(),
        "FRAUD_NODE_SECRETS": (secrets / "nodes").read_text().strip(),
        "FRAUD_ACKNOWLEDGE_SECRETS": (secrets / "acknowledgements").read_text().strip(),
    }
    settings = read_settings(given)
    assert settings.review.password and check_secrets(settings.nodes.secrets, "FRAUD_NODE_SECRETS")
