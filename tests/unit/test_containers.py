"""The image and the compose file: nothing runs as root, nothing floats, no secret is written down."""

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud.cli import _parser
from fraud.models.signing import SIGNATURE_FILE
from fraud.settings import Settings, read_settings
from fraud.settings_deploy import PUBLIC, SECRET, STAYS
from fraud.webhooks.addresses import parse_policy
from fraud.wiring import check_webhooks
from fraud.wiring_node import build_node
from tests.documents import documented

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "deploy" / "containers"
KNOWN = SECRET | PUBLIC | STAYS
HIDDEN = (SECRET - {"FRAUD_WEBHOOKS"}) | {"FRAUD_SIGNING_KEY", "FRAUD_NODE_SECRETS"}
WHSEC = "whsec_" + "QUFB" * 10
VALUES = {
    "pseudonyms": "a-long-key-of-pseudonyms",
    "review": "a long enough password",
    "nodes": WHSEC,
    "acknowledgements": WHSEC,
    "signing": "QUFB" * 10 + "QUE=",
}


def instructions() -> list[tuple[str, str]]:
    text = (CONTAINERS / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last(word: str) -> str:
    return [rest for name, rest in instructions() if name == word][-1]


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((CONTAINERS / "compose.yaml").read_text()))


SERVICES: dict[str, dict[str, Any]] = compose()["services"]


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return what the process sees: the image's variables, the service's, and its secrets."""
    image = dict(part.split("=", 1) for part in shlex.split(last("ENV")))
    given = {n: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", v) for n, v in service["environment"].items()}
    return image | given | {secret["target"]: VALUES[secret["source"]] for secret in service["secrets"]}


def settings(name: str) -> Settings:
    return read_settings(environment(SERVICES[name]))


def test_every_base_image_has_a_version() -> None:
    for base in [rest.split()[0] for word, rest in instructions() if word == "FROM"]:
        assert re.fullmatch(r"python:3\.11(\.\d+)?-slim-[a-z]+", base)
    for service in SERVICES.values():
        assert re.fullmatch(r"fraud:\d+\.\d+\.\d+", service["image"])


def test_nothing_runs_as_root_or_may_become_it() -> None:
    words = [word for word, _ in instructions()]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    assert words.index("USER") > max(i for i, word in enumerate(words) if word in ("RUN", "COPY"))
    for service in SERVICES.values():
        assert "user" not in service and service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_file_that_is_copied_exists_and_is_in_the_context() -> None:
    allowed = [x[1:] for x in (ROOT / ".dockerignore").read_text().splitlines() if x.startswith("!")]
    for rest in [rest for word, rest in instructions() if word == "COPY" and "--from" not in rest]:
        *sources, _ = shlex.split(rest)
        for source in sources:
            assert (ROOT / source).exists() and source in allowed, source
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*", "what is not named is left out"


def test_the_image_installs_the_lock() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    assert any("requirements.lock.txt" in run and "pip install" in run for run in runs)


def test_every_variable_exists_and_no_secret_is_written_down() -> None:
    for path in sorted(CONTAINERS.iterdir()):
        if path.is_file() and path.suffix not in (".sh",):
            assert set(re.findall(r"FRAUD_[A-Z_]*[A-Z]", path.read_text())) <= KNOWN, path.name
    written = {name for service in SERVICES.values() for name in service["environment"]}
    assert not written & HIDDEN
    assert not {
        name for word, rest in instructions() if word in ("ENV", "ARG") for name in HIDDEN if name in rest
    }


def test_every_secret_is_a_file_that_git_does_not_take() -> None:
    used = {secret["source"] for service in SERVICES.values() for secret in service["secrets"]}
    declared = compose()["secrets"]
    assert used == set(declared) == set(VALUES)
    for name, entry in declared.items():
        assert entry == {"file": f"secrets/{name}"}
    ignored = (CONTAINERS / "secrets" / ".gitignore").read_text().splitlines()
    assert "*" in ignored
    targets = {secret["target"] for service in SERVICES.values() for secret in service["secrets"]}
    assert targets <= HIDDEN


def test_only_the_trainer_can_sign_a_release() -> None:
    signing = [
        name for name, service in SERVICES.items() for s in service["secrets"] if s["source"] == "signing"
    ]
    assert signing == ["trainer"]


def test_only_the_web_application_is_reached_and_from_this_machine_only() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:7860:7860"]}
    assert compose()["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_starts_with_settings_that_can_be_read(name: str) -> None:
    read = settings(name)
    check_webhooks(read)
    assert read.server.host == "0.0.0.0" and read.feedback.node == name  # noqa: S104
    if name.startswith("node"):
        build_node(read, name)


def test_the_services_know_each_other_by_name_and_secret() -> None:
    nodes = [name for name in SERVICES if name.startswith("node-")]
    assert settings("web").nodes.urls == tuple(f"http://{name}:7860" for name in nodes)
    for name in ("web", "trainer"):
        told = settings(name).webhooks
        assert told.endpoints == ",".join(f"http://{node}:7860/webhooks/model" for node in nodes)
    for node in nodes:
        assert settings(node).nodes.secrets == settings("trainer").webhooks.secrets
        assert settings(node).nodes.acknowledge_url == "http://web:7860/webhooks/node"
    subnet = compose()["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    for name in SERVICES:
        allowed = settings(name).webhooks.allow_private
        assert allowed == subnet and parse_policy(allowed)


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_runs_exists(name: str) -> None:
    command = SERVICES[name].get("command") or json.loads(last("CMD"))
    if command == ["python", "app.py"]:
        return
    assert command[:3] == ["python", "-m", "fraud"]
    _parser().parse_args(command[3:])


def test_the_documented_start_serves_the_release_that_is_shipped() -> None:
    """With trusted keys a release without a signature serves nobody."""
    (start,) = [c for c in documented() if "docker compose up --build" in c]
    if not (ROOT / "artifacts" / SIGNATURE_FILE).is_file():
        assert "FRAUD_TRUSTED_KEYS" not in start


def test_health_is_asked_where_there_is_an_answer() -> None:
    asked = {name: service.get("healthcheck", {}).get("test", [""])[-1] for name, service in SERVICES.items()}
    assert asked == {"web": "", "node-a": "", "node-b": "", "trainer": "/healthz"}
    assert last("HEALTHCHECK").endswith('CMD ["python", "deploy/containers/healthy.py", "/readyz"]')


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/readyz": 200, "/healthz": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the terminal quiet."""


@pytest.fixture
def answering() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("path", "code"), [("/readyz", 0), ("/healthz", 1), ("/nothing", 1)])
def test_a_process_is_well_if_it_says_so(answering: int, path: str, code: int) -> None:
    command = [sys.executable, CONTAINERS / "healthy.py", path]
    asked = {"FRAUD_PORT": str(answering), "http_proxy": "http://127.0.0.1:1"}
    assert subprocess.run(command, env=asked, capture_output=True).returncode == code


def test_a_process_that_is_not_there_is_not_well() -> None:
    done = subprocess.run(
        [sys.executable, CONTAINERS / "healthy.py"], env={"FRAUD_PORT": "1"}, capture_output=True
    )
    assert done.returncode == 1 and b"Traceback" not in done.stderr


def enter(directory: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    show = "import os, json; print(json.dumps({k: v for k, v in os.environ.items() if 'FRAUD' in k}))"
    return subprocess.run(
        ["sh", CONTAINERS / "entrypoint.sh", sys.executable, "-c", show],
        env={"PATH": os.environ["PATH"], "SECRETS_DIR": str(directory), **variables},
        capture_output=True,
        text=True,
    )


def test_secrets_in_files_become_variables_and_a_variable_that_is_set_stays(tmp_path: Path) -> None:
    (tmp_path / "FRAUD_REVIEW_PASSWORD").write_text("with $HOME `id` \"quotes\" 'and' spaces\n")
    (tmp_path / "FRAUD_HUB_TOKEN").write_text("of the file")
    (tmp_path / "FRAUD_;id").write_text("x")
    (tmp_path / "OTHER").write_text("x")
    done = enter(tmp_path, FRAUD_HUB_TOKEN="of the variable")  # noqa: S106
    assert json.loads(done.stdout) == {
        "FRAUD_REVIEW_PASSWORD": "with $HOME `id` \"quotes\" 'and' spaces",
        "FRAUD_HUB_TOKEN": "of the variable",
    }


def test_no_secrets_at_all_are_no_error(tmp_path: Path) -> None:
    assert json.loads(enter(tmp_path / "nothing").stdout) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "FRAUD_SIGNING_KEY").touch(0o000)
    done = enter(tmp_path)
    assert done.returncode == 2 and "FRAUD_SIGNING_KEY" in done.stderr
