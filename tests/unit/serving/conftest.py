"""Releases of the small bundle, a node that follows them, and signed notices."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.ids import new_id
from fraud.models.bundle import GOLDEN_FILE, MANIFEST
from fraud.records import ModelVersion
from fraud.registry import ModelRegistry
from fraud.serving.champion import Champion
from fraud.serving.node import PredictionNode, Senders
from fraud.serving.standing import StandingFile
from fraud.serving.updating import NodeReport, Updates
from fraud.serving.watch import TrafficWatch, WatchPolicy
from fraud.webhooks.messages import write_body
from fraud.webhooks.received import ReceivedStore
from fraud.webhooks.signing import sign
from tests.unit.conftest import NOW
from tests.unit.webhooks.conftest import SECRET

HUB_SECRET = "a secret of the Hub's webhook"  # noqa: S105


@dataclass
class Releases:
    """A registry to promote in, with versions that differ by their cut-offs."""

    registry: ModelRegistry
    bundle: Path
    directory: Path

    def write(self, version: str, **changes: object) -> Path:
        """Write a release that declines from 0.9 + patch/1000 on, so that answers tell versions apart."""
        target = self.directory / version
        shutil.copytree(self.bundle, target)
        manifest = json.loads((target / MANIFEST).read_text())
        manifest["version"] = version
        # Its answers are those of other cut-offs.
        manifest["files"].pop(GOLDEN_FILE, None)
        (target / GOLDEN_FILE).unlink(missing_ok=True)
        for model in manifest["models"].values():
            model["thresholds"]["decline"] = 0.9 + int(version.rpartition(".")[2]) / 1000
        (target / MANIFEST).write_text(json.dumps(manifest | changes))
        return target

    def record(self, version: str) -> ModelVersion:
        revision = self.registry.record(self.write(version), version)
        manifest = (self.directory / version / MANIFEST).read_bytes()
        return ModelVersion(version, revision, hashlib.sha256(manifest).hexdigest())

    def promote(self, version: str) -> ModelVersion:
        served = self.record(version)
        self.registry.promote(version)
        return served


@pytest.fixture
def releases(registry: ModelRegistry, small_bundle: Path, tmp_path: Path) -> Releases:
    return Releases(registry, small_bundle, tmp_path / "releases")


class Seconds:
    """Monotonic seconds that move when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Following:
    """A node's parts, driven by hand."""

    node: PredictionNode
    champion: Champion
    updates: Updates
    watch: TrafficWatch
    seconds: Seconds
    said: list[NodeReport] = field(default_factory=list)

    def serves(self) -> str:
        return self.champion.scorer.version.version


def follow(registry: ModelRegistry, artifacts: Path, home: Path) -> Following:
    """Return a node that starts now, in a directory of its own."""
    seconds, said = Seconds(), []
    champion = Champion(registry, artifacts, memory=StandingFile(home / "standing.json"), clock=lambda: NOW)
    watch = TrafficWatch(WatchPolicy(), seconds)

    def acknowledge(report: NodeReport) -> bool:
        said.append(report)
        return True

    updates = Updates(
        champion, watch, node="n1", acknowledge=acknowledge, poll_s=600, acknowledge_s=60, clock=seconds
    )
    senders = Senders((SECRET,), (HUB_SECRET,), "org/models")
    received = ReceivedStore(home / "received.sqlite3")
    node = PredictionNode(champion, updates, watch, received, senders, clock=lambda: NOW)
    updates.step()
    return Following(node, champion, updates, watch, seconds, said)


@pytest.fixture
def following(releases: Releases, tmp_path: Path) -> Iterator[Following]:
    releases.promote("1.0.1")
    following = follow(releases.registry, releases.bundle, tmp_path / "n1")
    yield following
    following.node.close()


def notice(
    version: ModelVersion,
    sequence: int,
    *,
    message_id: str | None = None,
    at: datetime = NOW,
    secret: str = SECRET,
    event: str = "model.promoted",
) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a signed notice."""
    data = {
        "version": version.version,
        "revision": version.revision,
        "manifest_digest": version.manifest_digest,
        "sequence": sequence,
    }
    body = write_body(event, at.astimezone(UTC), data)
    return sign(message_id or new_id("msg"), at, body, (secret,)), body.encode()
