"""Decisions about releases: made in one place, written down, told to the nodes, and never half made."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fraud.cli import main
from fraud.errors import AccessDenied, BundleRefused, NotFound, RepositoryError, SettingsError, StorageError
from fraud.models.bundle import GOLDEN_FILE, MANIFEST, digest
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fraud.registry import ModelRegistry
from fraud.releasing import ReleaseDesk
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.settings import read_settings
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import parse_endpoints
from fraud.wiring import model_registry, release_desk

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "whsec_" + "QUJD" * 8


def release(small_bundle: Path, directory: Path, version: str) -> Path:
    shutil.copytree(small_bundle, directory / version)
    manifest = json.loads((directory / version / MANIFEST).read_text()) | {"version": version}
    (directory / version / MANIFEST).write_text(json.dumps(manifest))
    return directory / version


@pytest.fixture
def outbox(tmp_path: Path) -> WebhookOutbox:
    endpoints = parse_endpoints("https://node-a.example/hook", (SECRET,))
    return WebhookOutbox(tmp_path / "outbox.sqlite3", endpoints)


@pytest.fixture
def desk(registry: ModelRegistry, small_bundle: Path, outbox: WebhookOutbox, tmp_path: Path) -> ReleaseDesk:
    registry.ensure_champion(small_bundle)
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    registry.set_challenger("1.0.1")
    return ReleaseDesk(registry, small_bundle, outbox, clock=lambda: NOW, journal=tmp_path / "rollback.json")


def killed(*_: object, **__: object) -> None:
    """Stands for a death: no handler of this package catches it."""
    raise KeyboardInterrupt


def bodies(outbox: WebhookOutbox) -> list[dict[str, object]]:
    """Return the messages that wait, oldest first."""
    found = []
    for endpoint in outbox.endpoints:
        while (claim := outbox.claim(endpoint.name, NOW, NOW)) is not None:
            found.append(json.loads(claim.body))
    return found


def test_a_promotion_leaves_a_message_that_names_what_to_fetch(
    desk: ReleaseDesk, outbox: WebhookOutbox
) -> None:
    moved = desk.promote(who="m")
    assert moved.changed and moved.aliases.champion == "1.0.1" and len(moved.told) == 1
    revision, directory = desk.registry.fetch("1.0.1")
    (body,) = bodies(outbox)
    assert body["type"] == "model.promoted"
    assert {k: v for k, v in body["data"].items() if k != "sequence"} == {
        "version": "1.0.1",
        "revision": revision,
        "manifest_digest": digest(directory / MANIFEST),
    }


def test_a_rollback_is_told_as_one_with_a_larger_sequence(desk: ReleaseDesk, outbox: WebhookOutbox) -> None:
    desk.promote(who="m")
    assert desk.rollback(who="m").aliases.champion == "1.0.0"
    first, second = bodies(outbox)
    assert (second["type"], second["data"]["version"]) == ("model.rolled_back", "1.0.0")
    assert second["data"]["sequence"] > first["data"]["sequence"]


def test_promoting_the_champion_again_tells_nobody_twice_and_changes_nothing(
    desk: ReleaseDesk, outbox: WebhookOutbox
) -> None:
    first = desk.promote("1.0.1", who="m")
    head = desk.registry.head()
    again = desk.promote("1.0.1", who="m")
    assert not again.changed and desk.registry.head() == head
    assert again.told == first.told and len(outbox.deliveries()) == 1


def test_promoting_again_tells_who_was_not_told_because_the_first_was_killed(
    desk: ReleaseDesk, outbox: WebhookOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as died, pytest.raises(KeyboardInterrupt):
        died.setattr(outbox, "enqueue", killed)
        desk.promote("1.0.1", who="m")
    assert desk.registry.aliases().champion == "1.0.1" and outbox.deliveries() == ()
    assert not desk.promote("1.0.1", who="m").changed
    assert [body["data"]["version"] for body in bodies(outbox)] == ["1.0.1"]


def test_a_rollback_that_was_killed_is_finished_and_not_undone_by_the_next_one(
    desk: ReleaseDesk, outbox: WebhookOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.promote("1.0.1", who="m")
    with monkeypatch.context() as died, pytest.raises(KeyboardInterrupt):
        died.setattr(outbox, "enqueue", killed)
        desk.rollback(who="m")
    assert desk.registry.aliases().champion == "1.0.0"
    assert desk.rollback(who="m").aliases.champion == "1.0.0", "1.0.1 was rolled back from"
    assert [body["type"] for body in bodies(outbox)] == ["model.promoted", "model.rolled_back"]
    assert desk.rollback(who="m").aliases.champion == "1.0.1", "a rollback that ended can be rolled back"


def test_a_rollback_killed_before_it_moved_anything_moves_when_asked_again(
    desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.promote("1.0.1", who="m")
    with monkeypatch.context() as died, pytest.raises(KeyboardInterrupt):
        died.setattr(ModelRegistry, "rollback", killed)
        desk.rollback(who="m")
    assert desk.registry.aliases().champion == "1.0.1"
    assert desk.rollback(who="m").aliases.champion == "1.0.0"


def test_a_journal_that_is_none_stops_no_rollback(desk: ReleaseDesk, tmp_path: Path) -> None:
    desk.promote("1.0.1", who="m")
    (tmp_path / "rollback.json").write_text("{")
    assert desk.rollback(who="m").aliases.champion == "1.0.0"


def test_two_that_roll_back_at_once_do_not_bring_back_what_they_flee(desk: ReleaseDesk) -> None:
    desk.promote("1.0.1", who="m")
    assert desk.registry.rollback(to="1.0.0").champion == "1.0.0"
    assert desk.registry.rollback(to="1.0.0").champion == "1.0.0"


def test_a_promotion_stands_though_the_nodes_cannot_be_told(
    desk: ReleaseDesk, outbox: WebhookOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(outbox, "enqueue", full)
    moved = desk.promote(who="m")
    assert moved.changed and moved.problem == "The disk is full."
    assert desk.registry.aliases().champion == "1.0.1"


def test_what_cannot_be_loaded_is_not_promoted(
    desk: ReleaseDesk, small_bundle: Path, tmp_path: Path, outbox: WebhookOutbox
) -> None:
    broken = release(small_bundle, tmp_path, "1.0.2")
    manifest = json.loads((broken / MANIFEST).read_text())
    manifest["models"]["xgboost"]["thresholds"] = {}
    (broken / MANIFEST).write_text(json.dumps(manifest))
    desk.registry.record(broken, "sound files that make no model")
    with pytest.raises(BundleRefused):
        desk.promote("1.0.2", who="m")
    assert desk.registry.aliases().champion == "1.0.0" and bodies(outbox) == []


def test_without_a_challenger_there_is_nothing_to_promote(desk: ReleaseDesk) -> None:
    desk.reject("1.0.1", who="m")
    with pytest.raises(NotFound, match="There is no challenger"):
        desk.promote(who="m")


def test_a_click_serves_at_once_and_only_a_pseudonym_is_written_down(
    service: FraudService, desk: ReleaseDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AccessDenied, match="does not decide"):
        service.promote("1.0.1", "maria")
    monkeypatch.setattr(service, "_releases", desk)
    service.refresh()
    assert service.promote("1.0.1", "maria").changed and service.model_version.version == "1.0.1"
    service.rollback("maria")
    assert service.model_version.version == "1.0.0"
    who = {d.who for d in desk.registry.decisions(2)}
    assert len(who) == 1 and "maria" not in who.pop()
    desk.registry.set_challenger("1.0.1")
    assert service.reject("1.0.1", "maria").challenger is None


def test_an_unsigned_promotion_leaves_the_old_version_serving_and_says_why(
    service: FraudService, registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    key = SigningKey.new()
    signing = ModelRegistry(LocalRepository(tmp_path / "registry"), key=key)
    signing.ensure_champion(small_bundle)
    registry.trusted = TrustedKeys((key.public,))
    assert service.refresh() is True or service.model_version.revision is not None
    unsigned = ModelRegistry(LocalRepository(tmp_path / "registry"))
    unsigned.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    unsigned.promote("1.0.1")
    assert service.refresh() is False
    assert service.model_version.version == "1.0.0" and "is not signed" in (service.model_problem or "")


# The command line


@pytest.fixture
def configured(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))
    monkeypatch.setenv("FRAUD_NODE", "n1")
    return monkeypatch


def test_the_command_line_promotes_rejects_and_lists_decisions(
    configured: pytest.MonkeyPatch, small_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "1.0.0"]) == 0
    registry = model_registry(read_settings())
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    registry.set_challenger("1.0.1")
    assert main(["reject"]) == 0 and main(["promote"]) == 2 and main(["promote", "1.0.1"]) == 0
    assert main(["rollback"]) == 0
    capsys.readouterr()
    assert main(["versions", "--decisions"]) == 0
    said = capsys.readouterr().out
    assert "unsigned  champion" in said and "rollback  1.0.0  cli@n1" in said and "reject  1.0.1" in said


def test_keys_are_made_shown_and_used(
    configured: pytest.MonkeyPatch, small_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "new"]) == 0
    made = dict(
        line.split("=", 1) for line in capsys.readouterr().out.splitlines() if line.startswith("FRAUD_")
    )
    configured.setenv("FRAUD_SIGNING_KEY", made["FRAUD_SIGNING_KEY"])
    configured.setenv("FRAUD_TRUSTED_KEYS", made["FRAUD_TRUSTED_KEYS"])
    assert main(["keys", "show"]) == 0
    said = capsys.readouterr().out
    assert made["FRAUD_TRUSTED_KEYS"] in said and made["FRAUD_SIGNING_KEY"] not in said
    assert made["FRAUD_SIGNING_KEY"] not in repr(read_settings())
    assert main(["promote", "1.0.0"]) == 0 and main(["versions"]) == 0
    assert "(trusted)  champion" in capsys.readouterr().out
    assert (release_desk(read_settings()).registry.directory("1.0.0") / SIGNATURE_FILE).is_file()
    configured.setenv("FRAUD_SIGNING_KEY", "")
    configured.setenv("FRAUD_TRUSTED_KEYS", "QUJD")
    assert main(["versions"]) == 2
    assert "key 1 is not the base64" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "value"), [("FRAUD_APPROVAL", "yes"), ("FRAUD_SHADOW", "on")])
def test_a_word_that_no_setting_knows_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({name: value})


def test_golden_vectors_are_part_of_what_is_released(small_bundle: Path) -> None:
    assert GOLDEN_FILE in json.loads((small_bundle / MANIFEST).read_text())["files"]


def test_a_decision_on_what_has_changed_meanwhile_leaves_no_journal(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    registry.ensure_champion(small_bundle)
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    journal = tmp_path / "journal.json"
    desk = ReleaseDesk(registry, small_bundle, journal=journal)
    desk.promote("1.0.1", who="m")
    seen = registry.aliases().sequence
    with pytest.raises(RepositoryError, match="decided meanwhile"):
        desk.rollback(who="m", expected=seen - 1)
    assert not journal.exists() and registry.aliases().champion == "1.0.1"
    assert desk.rollback(who="m", expected=seen).aliases.champion == "1.0.0"


def test_a_first_promotion_may_expect_a_registry_without_a_champion(
    registry: ModelRegistry, small_bundle: Path, tmp_path: Path
) -> None:
    registry.record(release(small_bundle, tmp_path, "1.0.1"), "second")
    desk = ReleaseDesk(registry, small_bundle)
    assert desk.promote("1.0.1", who="m", expected=0).aliases.champion == "1.0.1"
    assert registry.aliases().previous == "1.0.0"
