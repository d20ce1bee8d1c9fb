"""A whole cluster on this machine: the web application, two prediction nodes and a trainer, as processes.

Only for one machine: secrets are made anew and shared through the processes' environments, and everything
listens on loopback. docs/cluster.md says how the same is done on several machines.
"""

import base64
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fraud.errors import SettingsError
from fraud.settings import ROOT

_HOST = "127.0.0.1"
_NODE_NAMES = "abcdefgh"


@dataclass(frozen=True)
class Member:
    """One process of the cluster: what is run, and with which environment."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    url: str | None = None

    def start(self, **streams: object) -> "subprocess.Popen[bytes]":
        """Start it."""
        return subprocess.Popen(self.arguments, cwd=ROOT, env=dict(self.environment), **streams)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Cluster:
    """Who is in the cluster. `commands` is the environment for `python -m fraud ...` beside it."""

    web: Member
    nodes: tuple[Member, ...]
    trainer: Member
    commands: Mapping[str, str]

    @property
    def members(self) -> tuple[Member, ...]:
        """All processes, the nodes first: the web application asks them."""
        return (*self.nodes, self.web, self.trainer)


def plan_cluster(
    home: Path,
    web_port: int,
    node_ports: Sequence[int],
    environment: Mapping[str, str] | None = None,
    retrain_seconds: float = 60.0,
) -> Cluster:
    """Return a cluster with new secrets; writes who is told of promotions to `home`/webhooks.toml.

    Parameters
    ----------
    home : directory of the cluster's own files; the settings of `environment` say where all others are
    environment : what the processes inherit; this process's by default
    """
    if not 1 <= len(node_ports) <= len(_NODE_NAMES):
        raise SettingsError(f"A cluster has 1 to {len(_NODE_NAMES)} nodes.", code="settings")
    own = dict(os.environ if environment is None else environment)
    home.mkdir(parents=True, exist_ok=True)
    names = [f"node-{letter}" for letter in _NODE_NAMES[: len(node_ports)]]
    urls = [f"http://{_HOST}:{port}" for port in node_ports]
    told = {name: new_secret() for name in names}
    acknowledging = new_secret()
    webhooks = home / "webhooks.toml"
    _write_privately(webhooks, _endpoints(names, urls, told))
    common = own | {"FRAUD_WEBHOOK_ALLOW_PRIVATE": "1", "FRAUD_HOST": _HOST}
    commands = common | {
        "FRAUD_WEBHOOKS": str(webhooks),
        "FRAUD_NODES": ",".join(urls),
        "FRAUD_ACKNOWLEDGE_SECRETS": acknowledging,
        "FRAUD_PORT": str(web_port),
    }
    web_url = f"http://{_HOST}:{web_port}"
    nodes = tuple(
        Member(
            name,
            (sys.executable, "-m", "fraud", "node", "--name", name, "--port", str(port)),
            common
            | {
                "FRAUD_NODE_SECRETS": told[name],
                "FRAUD_ACKNOWLEDGE_URL": f"{web_url}/webhooks/node",
                "FRAUD_ACKNOWLEDGE_SECRETS": acknowledging,
            },
            url,
        )
        for name, port, url in zip(names, node_ports, urls, strict=True)
    )
    every = ("--every", f"{retrain_seconds:g}")
    return Cluster(
        web=Member("web", (sys.executable, "app.py"), commands, web_url),
        nodes=nodes,
        trainer=Member("trainer", (sys.executable, "-m", "fraud", "trainer", *every), commands),
        commands=commands,
    )


def run_cluster(cluster: Cluster) -> str | None:
    """Run every process until one ends, or SIGTERM comes; end the others.

    Returns that one's name, None after SIGTERM: by itself it would end this process and leave its children.
    """
    running: dict[str, subprocess.Popen[bytes]] = {}
    asked_to_end = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    try:
        for member in cluster.members:
            if not asked_to_end.is_set():
                running[member.name] = member.start()
        while not asked_to_end.is_set():
            ended = [name for name, process in running.items() if process.poll() is not None]
            if ended:
                return ended[0]
            time.sleep(0.2)
        return None
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        signal.signal(signal.SIGTERM, before)


def new_secret() -> str:
    """Return a secret as Standard Webhooks writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _endpoints(names: Sequence[str], urls: Sequence[str], told: Mapping[str, str]) -> str:
    return "".join(
        f'[[endpoint]]\nname = "{name}"\nurl = "{url}/webhooks/model"\n'
        f'events = ["model.promoted", "model.rolled_back"]\nsecrets = ["{told[name]}"]\n\n'
        for name, url in zip(names, urls, strict=True)
    )


def _write_privately(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
