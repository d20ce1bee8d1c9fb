"""Real processes: a retraining, a promotion under load to two nodes, and what they turn away."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from fraud.cluster import Cluster, Member, plan_cluster
from fraud.models.bundle import MANIFEST, SERVING_FILES, read_manifest
from fraud.models.signing import SIGNATURE_FILE, SigningKey
from fraud.records import MODELS, ModelVersion
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.repositories.port import Add
from fraud.settings import Settings, read_settings
from fraud.wiring import model_registry
from tests.demo import ROOT, free_port, wait_for
from tests.unit.serving.conftest import Releases, notice
from tests.unit.webhooks.conftest import SECRET

WORKERS = 8
LEAST = 200
KEY = SigningKey.new()


@dataclass
class Running:
    """A cluster without its trainer: the test is the trainer."""

    cluster: Cluster
    directory: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, member: Member) -> None:
        log = (self.directory / f"{member.name}.log").open("ab")
        self.processes[member.name] = member.start(stdout=log, stderr=log)

    def wait_ready(self, member: Member) -> None:
        def ready() -> bool:
            assert self.processes[member.name].poll() is None, self.log(member)
            try:
                return httpx.get(f"{member.url}/readyz", timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(ready, 120)

    def log(self, member: Member) -> str:
        return (self.directory / f"{member.name}.log").read_text()

    def stop(self, member: Member) -> None:
        self.processes[member.name].terminate()
        self.processes[member.name].wait(timeout=60)

    def serves(self, member: Member) -> str:
        return str(httpx.get(f"{member.url}/v1/version", timeout=60).json()["version"])

    def problems(self, member: Member) -> str:
        return " ".join(httpx.get(f"{member.url}/readyz", timeout=60).json()["problems"])

    def board(self) -> dict[str, str]:
        return {
            n["node"]: n["version"] for n in httpx.get(f"{self.cluster.web.url}/v1/nodes", timeout=60).json()
        }

    @property
    def settings(self) -> Settings:
        return read_settings(self.cluster.commands)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, small_bundle: Path) -> Iterator[Running]:
    """Run one cluster for all tests but the last: each finds a champion and promotes versions after it."""
    home = tmp_path_factory.mktemp("running")
    artifacts = home / "artifacts"
    shutil.copytree(small_bundle, artifacts)
    (artifacts / SIGNATURE_FILE).write_bytes(KEY.sign((artifacts / MANIFEST).read_bytes()))
    environment = os.environ | {
        "FRAUD_ARTIFACTS_DIR": str(artifacts),
        "FRAUD_SIGNING_KEY": KEY.seed,
        "FRAUD_TRUSTED_KEYS": base64.b64encode(KEY.public).decode(),
        "FRAUD_REGISTRY_DIR": str(home / "registry"),
        "FRAUD_FEEDBACK_DIR": str(home / "feedback"),
        "FRAUD_COMMIT_SECONDS": "0.2",
        "FRAUD_REFRESH_SECONDS": "600",  # whatever moves a node is a notice, or its start
        "FRAUD_WEBHOOK_SECONDS": "1",
    }
    cluster = plan_cluster(home / "cluster", free_port(), [free_port(), free_port()], environment)
    running = Running(cluster, home)
    for member in (*cluster.nodes, cluster.web):
        running.start(member)
    try:
        for member in (*cluster.nodes, cluster.web):
            running.wait_ready(member)
        yield running
        for member in (cluster.web, *cluster.nodes):
            running.stop(member)
            assert "Traceback" not in running.log(member)
    finally:
        for process in running.processes.values():
            process.kill()
            process.wait()


def now_and_next(running: Running, n_next: int = 1) -> list[str]:
    """Return the champion's version, and those that the registry has not given away yet."""
    registry = model_registry(running.settings)
    champion = registry.aliases().champion or "1.0.0"
    last = max((int(v.version.rpartition(".")[2]) for v in registry.versions()), default=0)
    return [champion, *(f"1.0.{last + i}" for i in range(1, n_next + 1))]


def fraud(running: Running, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fraud", *arguments],
        cwd=ROOT, env=dict(running.cluster.commands), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Load:
    """Requests without a pause, to the web application and to every node, each answer looked at."""

    def __init__(self, urls: list[str], transaction: dict[str, object]) -> None:
        self._urls = urls
        self._body = {"transaction": transaction}
        self._over = threading.Event()
        self.versions: Counter[str] = Counter()
        self.answers: dict[tuple[str, str], set[str]] = {}
        self.failed: list[str] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "Load":
        self._pool = ThreadPoolExecutor(WORKERS)
        self._work = [self._pool.submit(self._send, i) for i in range(WORKERS)]
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for work in self._work:
            work.result()
        self._pool.shutdown()

    def _send(self, worker: int) -> None:
        with httpx.Client(timeout=60) as client:
            while not self._over.is_set():
                url = self._urls[worker % len(self._urls)]
                try:
                    answer = client.post(f"{url}/v1/score", json=self._body)
                except httpx.HTTPError as error:
                    self.failed.append(f"{url}: {error!r}")
                    continue
                self._look(url, answer)

    def _look(self, url: str, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            self.failed.append(f"{url}: {answer.status_code} {answer.text}")
            return
        said = answer.json()
        with self._lock:
            self.versions[said["model_version"]] += 1
            key = said["model_version"], said["model_digest"]
            self.answers.setdefault(key, set()).add(json.dumps(said["scores"], sort_keys=True))


def test_two_nodes_swap_under_load_without_a_failed_or_mixed_answer(running: Running) -> None:
    web, nodes = running.cluster.web, running.cluster.nodes
    example = httpx.get(f"{web.url}/v1/examples", timeout=60).json()[0]["transaction"]
    scored = httpx.post(f"{web.url}/v1/score", json={"transaction": example}, timeout=60).json()
    flag = {"prediction_id": scored["prediction_id"], "verdict": "wrong", "label": "fraud", "consent": True}
    receipt = httpx.post(f"{web.url}/v1/flags", json=flag, timeout=60).json()["receipt_id"]
    wait_for(lambda: httpx.get(f"{web.url}/v1/flags/{receipt}", timeout=60).json()["state"] == "committed")
    old, new = now_and_next(running)
    # A handful of held-out frauds cannot prove a margin of 0.02; the gate's own figures are tested elsewhere.
    assert f"recorded {new}" in fraud(running, "retrain", "--margin", "0.5")

    with Load([web.url, *(node.url for node in nodes)], example) as load:
        wait_for(lambda: load.versions[old] >= LEAST, 120)
        fraud(running, "promote", new)
        wait_for(lambda: all(running.serves(node) == new for node in nodes), 60)
        wanted = load.versions[new] + LEAST
        wait_for(lambda: load.versions[new] >= wanted, 120)
    assert load.failed == []
    assert load.versions.keys() == {old, new} and load.versions.total() >= 2 * LEAST
    # One transaction: both models' answers of a version never vary, so none was put together from two: each
    # model's differ from one version to the other, so that an answer of both would be a third one.
    assert [len(scores) for scores in load.answers.values()] == [1, 1]
    first, second = (json.loads(scores) for (scores,) in load.answers.values())
    assert all(first[model]["fraud_probability"] != second[model]["fraud_probability"] for model in MODELS)
    registry = model_registry(running.settings)
    assert load.answers.keys() == {(v, read_manifest(registry.directory(v))[1]) for v in (old, new)}
    wait_for(lambda: running.board() == {"node-a": new, "node-b": new})


def test_a_node_that_was_down_catches_up_and_the_other_serves_meanwhile(
    running: Running, small_bundle: Path, tmp_path: Path
) -> None:
    web, (first, second) = running.cluster.web, running.cluster.nodes
    example = httpx.get(f"{web.url}/v1/examples", timeout=60).json()[0]["transaction"]
    running.processes[first.name].kill()
    running.processes[first.name].wait()
    answers = [httpx.post(f"{web.url}/v1/score", json={"transaction": example}, timeout=60) for _ in range(6)]
    assert [a.status_code for a in answers] == [200] * 6
    _, new = now_and_next(running)
    Releases(model_registry(running.settings), small_bundle, tmp_path / "releases").record(new)
    fraud(running, "promote", new)
    wait_for(lambda: running.serves(second) == new, 60)
    running.start(first)
    running.wait_ready(first)
    assert running.serves(first) == new
    wait_for(lambda: running.board() == {"node-a": new, "node-b": new})


def promote_tampered(running: Running, releases: Releases, version: str, altered: str) -> ModelVersion:
    """Do what somebody can who may write to the registry and has no key; return what would be announced."""
    bundle = releases.write(version)
    signature = KEY.sign((bundle / MANIFEST).read_bytes())
    content = (bundle / altered).read_bytes()
    # Of the manifest one figure, which keeps its length; of a model its last byte.
    content = content.replace(b'"decline": 0.90', b'"decline": 0.99') if altered == MANIFEST else content[:-1]
    (bundle / altered).write_bytes(content if altered == MANIFEST else content + b"?")
    repository = LocalRepository(running.settings.models.registry)
    names = [MANIFEST, *json.loads((bundle / MANIFEST).read_text())["files"]]
    files = [Add(name, bundle / name) for name in names]
    head = repository.commit([*files, Add(SIGNATURE_FILE, signature)], version, repository.head())
    repository.tag(f"v{version}", head)
    careless = ModelRegistry(repository)
    careless.promote(version, who="intruder")
    revision, digest = careless.identity(version)
    return ModelVersion(version, revision, digest)


def test_nodes_turn_away_tampered_releases_and_forged_or_replayed_notices(
    running: Running, small_bundle: Path, tmp_path: Path
) -> None:
    web, nodes = running.cluster.web, running.cluster.nodes
    example = httpx.get(f"{web.url}/v1/examples", timeout=60).json()[0]["transaction"]
    releases = Releases(model_registry(running.settings), small_bundle, tmp_path / "releases")
    _, sound, *tampered = now_and_next(running, 3)
    releases.record(sound)
    fraud(running, "promote", sound)
    wait_for(lambda: all(running.serves(node) == sound for node in nodes), 60)
    swaps = [n_swaps(node) for node in nodes]

    def post(node: Member, served: ModelVersion, *, secret: str = "", age_s: float = 0) -> httpx.Response:
        at = datetime.now(UTC) - timedelta(seconds=age_s)
        secret = secret or node.environment["FRAUD_NODE_SECRETS"]
        headers, body = notice(served, int(at.timestamp() * 1000), at=at, secret=secret)
        last.append((headers, body))
        return httpx.post(f"{node.url}/webhooks/model", headers=headers, content=body, timeout=60)

    last: list[tuple[dict[str, str], bytes]] = []
    altered_files = (
        (SERVING_FILES["xgboost"], "is not the file that was released"),
        (MANIFEST, "its signature does not match its manifest"),
    )
    for version, (altered, reason) in zip(tampered, altered_files, strict=True):
        announced = promote_tampered(running, releases, version, altered)
        for node in nodes:
            assert post(node, announced, secret=SECRET).status_code == 401
            assert post(node, announced, age_s=600).status_code == 401
            assert reason not in running.problems(node), "a forged or stale notice makes nobody look"
            assert post(node, announced).json() == {"reception": "fresh"}
            again = httpx.post(
                f"{node.url}/webhooks/model", headers=last[-1][0], content=last[-1][1], timeout=60
            )
            assert again.json() == {"reception": "duplicate"}
        wait_for(lambda reason=reason: all(reason in running.problems(node) for node in nodes))
        for node in nodes:
            answer = httpx.post(f"{node.url}/v1/score", json={"transaction": example}, timeout=60).json()
            assert answer["model_version"] == running.serves(node) == sound
        assert [n_swaps(node) for node in nodes] == swaps
    wait_for(lambda: {n["state"] for n in httpx.get(f"{web.url}/v1/nodes", timeout=60).json()} == {"refused"})


def n_swaps(node: Member) -> float:
    lines = httpx.get(f"{node.url}/metrics", timeout=60).text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("fraud_node_swaps_total "))


def free_ports_in_a_row() -> int:
    """Return a port that is free, as are those of its two nodes."""
    while True:
        port = free_port()
        try:
            with (
                socket.create_server(("127.0.0.1", port + 10)),
                socket.create_server(("127.0.0.1", port + 11)),
            ):
                return port
        except (OSError, OverflowError):
            continue


def test_the_cluster_command_starts_all_and_sigterm_leaves_no_child(
    tmp_path: Path, small_bundle: Path
) -> None:
    port = free_ports_in_a_row()
    environment = os.environ | {
        "FRAUD_ARTIFACTS_DIR": str(small_bundle),
        "FRAUD_REGISTRY_DIR": str(tmp_path / "registry"),
        "FRAUD_FEEDBACK_DIR": str(tmp_path / "feedback"),
        "FRAUD_PORT": str(port),
    }
    log = tmp_path / "log"
    with log.open("wb") as stream:
        cluster = subprocess.Popen(
            [sys.executable, "-m", "fraud", "cluster", "--every", "600"],
            cwd=ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip

    def ready(port: int) -> bool:
        assert cluster.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        for each in (port, port + 10, port + 11):
            wait_for(lambda each=each: ready(each), 120)
        cluster.terminate()
        assert cluster.wait(timeout=60) == 0, log.read_text()
        assert "all have ended, as asked" in log.read_text()
        with pytest.raises(ProcessLookupError):
            os.killpg(cluster.pid, 0)  # its session has nobody left
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()
