"""SIGKILL at every step of a retraining, promotion or rollback: the champion serves, the next call ends it.

The processes are real and so is the signal; tests/integration/zygote.py forks them.
"""

import base64
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fraud.feedback.store import FeedbackStore
from fraud.models.bundle import CHANGELOG_FILE, GOLDEN_FILE, MANIFEST, load_bundle, read_signature
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys, claimed_key
from fraud.records import Label
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.runs import read_runs
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.webhooks.deliveries import Delivery, WebhookOutbox
from tests.demo import ROOT
from tests.unit.webhooks.conftest import SECRET, answer, listening

KEY = SigningKey.new()
TRUSTED = TrustedKeys((KEY.public,))
OLD, NEW = "1.0.0", "1.0.1"
RETRAIN = ("retrain", "--margin", "0.5")
BEFORE_THE_MOVE = (
    "read",
    "begin",
    "decided",
    "table read",
    "fit the second model",
    "trained, nothing written",
    "files of the challenger",
    "sealed beside its place",
    "half moved into place",
    "in its place",
    "trained",
    "use counted",
    "judged",
    "report",
    "gated",
    "card written, not sealed",
    "sealed",
    "signed",
    "blobs",
    "branch not moved",
    "branch moved",
    "tagged",
    "challenger",
    "recorded",
    "alias not committed",
)
AFTER_THE_MOVE = (
    "alias moved",
    "message not committed",
    "message left",
    "nodes asked",
    "promoted",
    "over, not tidied",
    "pruned",
)
MOVES = ("alias moved", "message not committed", "message left", "nodes asked")


class Zygote:
    """The process that forks commands: see tests/integration/zygote.py."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, home: "Home", arguments: Sequence[str], point: str | None = None) -> dict[str, Any]:
        order = {
            "arguments": list(arguments),
            "environment": home.environment,
            "point": point,
            "memory": str(home.memory),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@dataclass
class Home:
    """Everything that a trainer has on its disk."""

    directory: Path
    artifacts: Path
    memory: Path
    receiver: Any
    zygote: Zygote
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environment = {
            "FRAUD_ARTIFACTS_DIR": str(self.artifacts),
            "FRAUD_REGISTRY_DIR": str(self.directory / "registry"),
            "FRAUD_FEEDBACK_DIR": str(self.directory / "feedback"),
            "FRAUD_SIGNING_KEY": KEY.seed,
            "FRAUD_TRUSTED_KEYS": _text(KEY.public),
            "FRAUD_WEBHOOKS": self.receiver.url(),
            "FRAUD_WEBHOOK_SECRETS": SECRET,
            "FRAUD_WEBHOOK_ALLOW_PRIVATE": "1",
            "FRAUD_APPROVAL": "",
        }

    @property
    def runs(self) -> Path:
        return self.directory / "feedback" / "retraining"

    def registry(self) -> ModelRegistry:
        return ModelRegistry(LocalRepository(self.directory / "registry"), trusted=TRUSTED, key=KEY)

    def messages(self) -> list[Delivery]:
        outbox = WebhookOutbox(self.directory / "feedback" / "webhooks" / "outbox.sqlite3", ())
        found = list(outbox.deliveries()) if outbox.used else []
        outbox.close()
        return found

    def killed(self, point: str, *arguments: str) -> None:
        """Run a command that dies at a point, and see that what is left is whole and serves."""
        done = self.zygote.run(self, arguments, point)
        assert done["returncode"] == -signal.SIGKILL, (point, done)
        self.check(point)

    def done(self, *arguments: str, code: int = 0) -> str:
        done = self.zygote.run(self, arguments)
        assert done["returncode"] == code, done["output"]
        assert "Traceback" not in done["output"]
        return str(done["output"])

    def check(self, point: str) -> None:
        """Load every version as a node would, and score with the champion."""
        registry = self.registry()
        for version in registry.versions():
            directory = registry.directory(version.version)
            bundle = load_bundle(directory, TRUSTED)
            assert bundle.version == version.version, point
            assert claimed_key(read_signature(directory)) is not None, point
        scorer = Champion(registry, self.artifacts).scorer
        example = scorer.examples["examples"][0]["transaction"]
        assert len(scorer.score(example)) == 2, point
        assert scorer.version.version == (registry.aliases().champion or OLD), point


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def signed(bundle: Path) -> Path:
    (bundle / SIGNATURE_FILE).write_bytes(KEY.sign((bundle / MANIFEST).read_bytes()))
    return bundle


@pytest.fixture(scope="module")
def artifacts(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("signed") / "artifacts"
    shutil.copytree(small_bundle, directory)
    return signed(directory)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("memory") / "training.pickle"


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.stop()


@pytest.fixture
def home(tmp_path: Path, artifacts: Path, memory: Path, zygote: Zygote) -> Iterator[Home]:
    """Yield a trainer's empty disk, and a node that takes what it is told."""
    with listening(answer(200)) as receiver:
        yield Home(tmp_path, artifacts, memory, receiver, zygote)


def flag(home: Home) -> None:
    dataset = LocalRepository(home.directory / "feedback" / "dataset.git")
    store = FeedbackStore(home.directory / "outbox", dataset, "n")
    service = FraudService(Champion(home.registry(), home.artifacts), store, node="n", pseudonym_key=b"k")
    shown = service.score(service.examples()[0]["transaction"])
    alerts = {score.decision.value != "approve" for score in shown.scores.values()}
    verdict = "right" if True in alerts else "wrong"
    service.flag(shown.prediction_id, verdict, label=Label.FRAUD, consent=True, session="s")
    service.drain()
    service.close()


def told(home: Home) -> list[str]:
    """Return the ids that the node was told, each once, and see that each is a message of the outbox."""
    ids = sorted(set(home.receiver.ids()))
    assert set(ids) <= {message.message_id for message in home.messages()}
    return ids


def test_a_retraining_killed_at_every_step_is_ended_by_the_next_with_the_same_version(home: Home) -> None:
    flag(home)
    for point in BEFORE_THE_MOVE:
        home.killed(point, *RETRAIN, "--promote")
        assert home.registry().aliases().champion in (None, OLD), point
        assert not home.messages(), point
    for point in AFTER_THE_MOVE:
        home.killed(point, *RETRAIN, "--promote")
        assert home.registry().aliases().champion == NEW, point
    assert "nothing to do" in home.done(*RETRAIN, "--promote")

    (run,) = read_runs(home.runs)
    assert run.state == "promoted" and not run.bundle.exists()
    registry = home.registry()
    assert [version.version for version in registry.versions()] == [NEW, OLD]
    assert [message.type for message in home.messages()] == ["model.promoted"]
    assert told(home) == [home.messages()[0].message_id]
    released = load_bundle(registry.directory(NEW), TRUSTED)
    files = set(released.manifest["files"])
    assert {GOLDEN_FILE, "README.md", CHANGELOG_FILE, "resultados/gate.json", "resultados/gate.html"} <= files
    card, changes = ((released.directory / name).read_text() for name in ("README.md", CHANGELOG_FILE))
    assert f"Passed, against {OLD}" in card and "Gate: " in changes
    assert f"## [{NEW}]" in changes and f"(against {OLD})" in changes
    assert registry.decisions()[0].who.startswith("retrain@")


def test_a_refusal_killed_at_every_step_is_told_under_one_id_and_promotes_nothing(home: Home) -> None:
    flag(home)
    refused = ("retrain", "--margin=-0.9", "--promote")
    for point in ("gated", "message not committed", "message left"):
        home.killed(point, *refused)
        assert home.registry().aliases().champion in (None, OLD)
    home.killed("refused, not tidied", *refused)
    assert "the gate refused it" in home.done(*refused)
    assert [message.type for message in home.messages()] == ["gate.refused"]
    assert [version.version for version in home.registry().versions()] == [OLD]


def test_what_waits_for_approval_ends_well_and_says_how(home: Home) -> None:
    flag(home)
    home.environment["FRAUD_APPROVAL"] = "manual"
    home.killed("recorded", *RETRAIN)
    said = home.done(*RETRAIN)
    assert f"{NEW} is waiting for approval" in said and f"promote {NEW}" in said
    assert home.registry().aliases().roles == {"champion": OLD, "previous": None, "challenger": NEW}
    assert not home.messages()
    assert "nothing to do" in home.done(*RETRAIN), "it waits, and is not built again"
    home.done("promote")
    assert home.registry().aliases().champion == NEW
    assert [message.type for message in home.messages()] == ["model.promoted"]


def recorded(home: Home, last: str = "recorded") -> None:
    """Have a retraining killed once its challenger is tagged, and once the step is written down."""
    flag(home)
    home.registry().ensure_champion(home.artifacts)  # what is tagged and promoted next is the challenger
    for point in ("tagged", "recorded")[: 1 if last == "tagged" else 2]:
        home.killed(point, *RETRAIN, "--promote")


@pytest.mark.parametrize("point", ["alias moved", "message left", "promoted"])
def test_a_rollback_after_a_kill_is_not_undone_by_the_next_retraining(point: str, home: Home) -> None:
    recorded(home)
    home.killed(point, *RETRAIN, "--promote")
    assert f"rolled back to {OLD}" in home.done("rollback")
    before = home.registry().aliases()
    said = home.done(*RETRAIN, "--promote")
    if point != "promoted":
        assert f"{NEW} is not promoted, because somebody has decided" in said
    assert "nothing to do" in home.done(*RETRAIN, "--promote"), "the same labels are not tried again"
    assert home.registry().aliases() == before
    (run,) = read_runs(home.runs)
    assert run.state == ("promoted" if point == "promoted" else "overruled") and not run.bundle.exists()
    assert [version.version for version in home.registry().versions()] == [NEW, OLD]
    # Not told of a promotion that was over before anybody could be told.
    promotions = [] if point == "alias moved" else ["model.promoted"]
    assert sorted(m.type for m in home.messages()) == [*promotions, "model.rolled_back"]
    home.done("promote", NEW)
    assert home.registry().aliases().champion == NEW, "who wants it after all can have it"


@pytest.mark.parametrize("point", ["challenger", "recorded", "alias not committed"])
def test_a_rejection_after_a_kill_is_not_undone_by_the_next_retraining(point: str, home: Home) -> None:
    recorded(home, last="recorded" if point == "alias not committed" else "tagged")
    home.killed(point, *RETRAIN, "--promote")
    assert home.registry().aliases().challenger == NEW
    home.done("reject")
    before = home.registry().aliases()
    assert f"{NEW} is not promoted, because somebody has decided" in home.done(*RETRAIN, "--promote")
    assert "nothing to do" in home.done(*RETRAIN, "--promote")
    assert home.registry().aliases() == before and before.challenger is None
    assert read_runs(home.runs)[0].state == "overruled" and not home.messages()


@pytest.fixture
def released(home: Home, small_bundle: Path, tmp_path: Path) -> Home:
    registry = home.registry()
    registry.ensure_champion(home.artifacts)
    copy = tmp_path / "next"
    shutil.copytree(small_bundle, copy)
    manifest = json.loads((copy / MANIFEST).read_text()) | {"version": NEW}
    (copy / MANIFEST).write_text(json.dumps(manifest))
    registry.record(signed(copy), "next")
    registry.set_challenger(NEW)
    return home


@pytest.mark.parametrize("point", ["blobs", "branch not moved", "branch moved", *MOVES])
def test_a_promotion_killed_anywhere_is_ended_by_the_next(point: str, released: Home) -> None:
    released.killed(point, "promote", NEW)
    assert released.registry().aliases().champion == (NEW if point in (*MOVES, "branch moved") else OLD)
    assert NEW in released.done("promote", NEW)
    assert released.registry().aliases().champion == NEW
    assert [message.type for message in released.messages()] == ["model.promoted"]
    assert [m.message_id for m in released.messages()] == told(released)


@pytest.mark.parametrize(
    "point",
    [
        "rollback on its way",
        "alias not committed",
        "branch moved",
        "rolled back",
        *MOVES[1:],
        "journal not removed",
    ],
)
def test_a_rollback_killed_anywhere_is_ended_and_not_undone_by_the_next(point: str, released: Home) -> None:
    released.done("promote", NEW)
    released.killed(point, "rollback")
    assert f"rolled back to {OLD}" in released.done("rollback")
    aliases = released.registry().aliases()
    assert (aliases.champion, aliases.previous) == (OLD, NEW)
    assert sorted(m.type for m in released.messages()) == ["model.promoted", "model.rolled_back"]
    assert sorted(m.message_id for m in released.messages()) == told(released)
