"""The signing key is replaced as the operator's guide says, by its commands, while nodes serve."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.models.signing import SigningKey
from fraud.serving.champion import Champion
from fraud.serving.standing import StandingFile
from fraud.settings import read_settings
from fraud.wiring import model_registry
from tests.releases import make_release

OLD, NEW = SigningKey.new(), SigningKey.new()
UNTRUSTED = (
    "error: The release is signed with a key that is not trusted here; if it is one of yours, add it to "
    "FRAUD_TRUSTED_KEYS.\n"
)


class Home:
    """A trainer that types commands, and nodes that look at its registry, each with keys of its own."""

    def __init__(self, directory: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self._bundle, self._environment = directory, bundle, monkeypatch
        self._base = {
            "FRAUD_ARTIFACTS_DIR": str(bundle),
            "FRAUD_REGISTRY_DIR": str(directory / "registry"),
            "FRAUD_FEEDBACK_DIR": str(directory / "feedback"),
        }

    def trains_with(self, key: SigningKey, *trusted: SigningKey) -> None:
        for name, value in (self._base | {"FRAUD_SIGNING_KEY": key.seed} | _trust(*trusted)).items():
            self._environment.setenv(name, value)

    def releases(self, version: str, decline: float) -> None:
        release = make_release(self._bundle, self.directory, version, champion="1.0.0", decline=decline)
        model_registry(read_settings()).record(release, version)
        assert main(["promote", version]) == 0

    def node(self, name: str, *trusted: SigningKey) -> Champion:
        """Start a node, or start it again: what it served is remembered by its name."""
        settings = read_settings(self._base | _trust(*trusted))
        memory = StandingFile(self.directory / f"{name}.json")
        champion = Champion(model_registry(settings), self._bundle, memory=memory)
        assert champion.scorer
        return champion


def _trust(*keys: SigningKey) -> dict[str, str]:
    return {"FRAUD_TRUSTED_KEYS": ",".join(base64.b64encode(key.public).decode() for key in keys)}


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def types(*command: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(list(command)) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return types


def test_a_signing_key_is_replaced_while_nodes_serve(
    tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch, says: Callable[..., str]
) -> None:
    home = Home(tmp_path, small_bundle, monkeypatch)
    home.trains_with(OLD, OLD)
    says("promote", "1.0.0")
    assert home.node("a", OLD).scorer.version.version == "1.0.0"

    # Both are trusted everywhere; the new one signs. A node that was forgotten goes on with what it has.
    node, forgotten = home.node("a", OLD, NEW), home.node("b", OLD)
    home.trains_with(NEW, OLD, NEW)
    home.releases("1.0.1", 0.91)
    assert node.refresh() and node.scorer.version.version == "1.0.1" and node.problem is None
    assert not forgotten.refresh() and forgotten.scorer.version.version == "1.0.0"
    assert f"error: {forgotten.problem}\n" == UNTRUSTED
    assert "rolled back to 1.0.0" in says("rollback") and node.refresh(), "both are good until one is dropped"
    says("promote", "1.0.1")

    # The old one is dropped: what only it signed is refused by every command, and nothing has changed.
    home.trains_with(NEW, NEW)
    node = home.node("a", NEW)
    assert node.scorer.version.version == "1.0.1"
    before = model_registry(read_settings()).aliases()
    assert before.previous == "1.0.0"
    for command in (["rollback"], ["promote", "1.0.0"]):
        assert says(*command, code=2) == UNTRUSTED, command
    assert model_registry(read_settings()).aliases() == before
    assert not list(tmp_path.rglob("rollback.json")), "nothing is half done"
    assert not node.refresh() and node.problem is None
    first, second = says("versions").splitlines()
    assert first.endswith("(trusted)  champion") and second.endswith("(refused)  previous")

    # A second release by the new key, and there is something to go back to again.
    home.releases("1.0.2", 0.92)
    assert "rolled back to 1.0.1" in says("rollback")
    assert home.node("a", NEW).scorer.version.version == "1.0.1"
