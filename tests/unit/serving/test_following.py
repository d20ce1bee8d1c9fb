"""A node follows promotions, turns away what it must, goes back by itself, and says so."""

import hashlib
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fraud.errors import BundleRefused, FlagError, TransactionError, WebhookRefused
from fraud.models.bundle import MANIFEST, PROFILE_FILE, SERVING_FILES
from fraud.models.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.webhooks.received import Reception
from tests.unit.conftest import NOW
from tests.unit.serving.conftest import HUB_SECRET, Following, Releases, follow, notice
from tests.unit.webhooks.conftest import PREVIOUS


def test_a_notice_makes_the_node_swap_and_acknowledge(following: Following, releases: Releases) -> None:
    promoted = releases.promote("1.0.2")
    following.updates.step()
    assert following.serves() == "1.0.1"  # nobody said anything and the timer is far away
    assert following.node.receive(*notice(promoted, 5)) is Reception.FRESH
    following.updates.step()
    assert following.champion.scorer.version == promoted and following.updates.swaps == 1
    assert [report.served.version for report in following.said] == ["1.0.1", "1.0.2"]
    assert following.said[-1].sequence == releases.registry.aliases().sequence


def test_both_models_and_the_version_of_an_answer_come_from_one_release(
    following: Following, releases: Releases
) -> None:
    example = following.node.examples()[0]["transaction"]
    for version in ("1.0.2", "1.0.3"):
        prediction = following.node.score(example)
        releases.promote(version)
        following.updates.announce(None)
        following.updates.step()
        decline = {score.thresholds.decline for score in prediction.scores.values()}
        assert decline == {0.9 + int(prediction.model_version.version[-1]) / 1000}
        assert set(following.node.explain(prediction)) == {"random_forest", "xgboost"}
    assert following.serves() == "1.0.3"


def test_without_a_notice_the_timer_finds_the_promotion(following: Following, releases: Releases) -> None:
    releases.promote("1.0.2")
    following.seconds.now += 601
    following.updates.step()
    assert following.serves() == "1.0.2"


def test_a_notice_before_its_release_is_followed_up_without_another_one(
    following: Following, releases: Releases
) -> None:
    recorded = releases.record("1.0.2")
    following.node.receive(*notice(recorded, 5))
    following.updates.step()
    assert following.serves() == "1.0.1"
    releases.registry.promote("1.0.2")
    following.seconds.now += 1
    following.updates.step()
    assert following.serves() == "1.0.2"


def test_forged_stale_and_foreign_notices_are_refused(following: Following, releases: Releases) -> None:
    promoted = releases.promote("1.0.2")
    headers, body = notice(promoted, 5)
    for code, sent in {
        "webhook_signature": notice(promoted, 5, secret=PREVIOUS),
        "webhook_stale": notice(promoted, 5, at=NOW - timedelta(minutes=6)),
        "webhook_headers": ({}, body),
    }.items():
        with pytest.raises(WebhookRefused) as refused:
            following.node.receive(*sent)
        assert refused.value.code == code
    with pytest.raises(WebhookRefused):
        following.node.receive(headers, body.replace(b"1.0.2", b"1.0.3"))
    following.updates.step()
    assert following.serves() == "1.0.1"


def test_replayed_and_late_notices_change_nothing(following: Following, releases: Releases) -> None:
    first, second = releases.promote("1.0.2"), releases.promote("1.0.3")
    again = notice(second, 6, message_id="msg_b")
    assert following.node.receive(*again) is Reception.FRESH
    following.updates.step()
    assert following.node.receive(*again) is Reception.DUPLICATE
    assert following.node.receive(*notice(first, 5, message_id="msg_a")) is Reception.LATE
    following.updates.step()
    assert following.serves() == "1.0.3" and following.updates.swaps == 1


def test_the_hubs_webhook_makes_the_node_look_if_it_is_about_our_models(
    following: Following, releases: Releases
) -> None:
    promoted = releases.promote("1.0.2")
    event = {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "model", "name": "org/others"},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": None, "newSha": "a" * 40}],
    }
    headers = {"X-Webhook-Secret": HUB_SECRET}
    assert not following.node.receive_from_hub(headers, json.dumps(event).encode())
    following.updates.step()
    assert following.serves() == "1.0.1"
    event["repo"] = {"type": "model", "name": "org/models"}
    with pytest.raises(WebhookRefused):
        following.node.receive_from_hub({"X-Webhook-Secret": "no"}, json.dumps(event).encode())
    assert following.node.receive_from_hub(headers, json.dumps(event).encode())
    following.updates.step()
    assert following.champion.scorer.version == promoted


def test_a_release_other_than_the_announced_one_is_refused(following: Following, releases: Releases) -> None:
    promoted = releases.promote("1.0.2")
    following.node.receive(*notice(replace(promoted, manifest_digest="e" * 64), 5))
    following.updates.step()
    assert following.serves() == "1.0.1"
    assert "not the release that was announced" in str(following.champion.problem)


@pytest.mark.parametrize("damage", ["corrupted", "wrong schema", "missing"])
def test_a_damaged_release_is_refused_and_the_old_model_serves_on(
    damage: str, following: Following, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted = releases.promote("1.0.2")
    broken = releases.directory / "1.0.2"
    if damage == "corrupted":
        path = broken / SERVING_FILES["xgboost"]
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif damage == "missing":
        (broken / SERVING_FILES["xgboost"]).unlink()
    else:
        manifest = json.loads((broken / MANIFEST).read_text())
        (broken / MANIFEST).write_text(json.dumps(manifest | {"schema_version": 99}))
    monkeypatch.setattr(releases.registry, "directory_at", lambda revision: broken)
    example = following.node.examples()[0]["transaction"]
    following.node.receive(*notice(promoted, 5))
    following.updates.step()
    assert following.serves() == "1.0.1" and following.champion.problem
    assert following.node.score(example).model_version.version == "1.0.1"
    assert following.said[-1].served.version == "1.0.1"


def of_another_schema(releases: Releases, version: str, change: str) -> None:
    """Promote a sound release that asks clients for something else."""
    bundle = releases.write(version)
    profile = json.loads((bundle / PROFILE_FILE).read_text())
    if change == "profile":
        profile["name"] = "transfers"
    else:
        field = next(f for f in profile["fields"] if f["column"] == "amount")
        field["maximum"] = 99.0
    raw = json.dumps(profile).encode()
    (bundle / PROFILE_FILE).write_bytes(raw)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"][PROFILE_FILE] |= {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    (bundle / MANIFEST).write_text(json.dumps(manifest))
    releases.registry.record(bundle, version)
    releases.registry.promote(version)


@pytest.mark.parametrize(
    ("change", "words"),
    [("profile", 'the profile is "transfers"'), ("field", '"maximum" of field "amount" is another')],
)
def test_another_schema_without_a_new_major_version_is_refused_and_the_refusal_acknowledged(
    change: str, words: str, following: Following, releases: Releases, tmp_path: Path
) -> None:
    of_another_schema(releases, "1.1.0", change)
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.1" and words in str(following.champion.problem)
    said = following.said[-1]
    assert (said.served.version, said.state) == ("1.0.1", "refused") and words in said.reason
    example = following.node.examples()[0]["transaction"]
    assert following.node.score(example).model_version.version == "1.0.1"
    again = follow(releases.registry, releases.bundle, tmp_path / "n1")
    assert again.serves() == "1.0.1" and again.said[0].state == "refused", "a restart is no way around it"
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.2" and following.said[-1].state == "serving"


def test_a_new_major_version_may_ask_for_other_fields_and_be_rolled_back_from(
    following: Following, releases: Releases
) -> None:
    of_another_schema(releases, "2.0.0", "field")
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "2.0.0" and following.champion.problem is None
    releases.registry.rollback()
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.1" and following.champion.problem is None


def test_a_release_that_answers_otherwise_than_where_it_was_trained_is_refused(
    following: Following, releases: Releases, tmp_path: Path
) -> None:
    shutil.copytree(releases.bundle, tmp_path / "1.0.2")
    manifest = json.loads((releases.bundle / MANIFEST).read_text()) | {"version": "1.0.2"}
    manifest["models"]["xgboost"]["calibration"]["c"] += 0.01
    (tmp_path / "1.0.2" / MANIFEST).write_text(json.dumps(manifest))
    releases.registry.record(tmp_path / "1.0.2", "1.0.2")
    releases.registry.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.1" and "golden transaction" in str(following.champion.problem)


def test_unsigned_and_wrongly_signed_releases_are_refused_where_keys_are_trusted(
    releases: Releases, tmp_path: Path
) -> None:
    key, stranger = SigningKey.new(), SigningKey.new()

    def sign_and_promote(version: str, signing: SigningKey | None) -> None:
        bundle, target = releases.write(version), ModelRegistry(LocalRepository(tmp_path / "signed"))
        if signing is not None:
            (bundle / SIGNATURE_FILE).write_bytes(signing.sign((bundle / MANIFEST).read_bytes()))
        target.record(bundle, version)
        target.promote(version)

    sign_and_promote("1.0.1", key)
    trusting = ModelRegistry(LocalRepository(tmp_path / "signed"), trusted=TrustedKeys((key.public,)))
    following = follow(trusting, releases.bundle, tmp_path / "n")
    assert following.serves() == "1.0.1"
    for version, signing, reason in (
        ("1.0.2", None, "is not signed"),
        ("1.0.3", stranger, "not trusted here"),
    ):
        sign_and_promote(version, signing)
        following.updates.announce(None)
        following.updates.step()
        assert following.serves() == "1.0.1" and reason in str(following.champion.problem)
    sign_and_promote("1.0.4", key)
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.4" and following.champion.problem is None
    following.node.close()


def test_a_registry_that_fell_back_to_an_older_state_is_not_followed(
    following: Following, releases: Releases, tmp_path: Path
) -> None:
    older = tmp_path / "copy"
    shutil.copytree(tmp_path / "registry", older)
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    shutil.rmtree(tmp_path / "registry")
    shutil.copytree(older, tmp_path / "registry")
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.2" and "older model" in str(following.champion.problem)


def test_a_node_that_was_down_catches_up_at_its_start(
    following: Following, releases: Releases, tmp_path: Path
) -> None:
    following.node.close()
    releases.promote("1.0.2")
    promoted = releases.promote("1.0.3")
    again = follow(releases.registry, releases.bundle, tmp_path / "n1")
    assert again.champion.scorer.version == promoted and again.said[0].served == promoted


def test_a_node_that_starts_beside_a_broken_champion_serves_what_it_served_before(
    following: Following, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    following.node.close()
    promoted = releases.promote("1.0.2")
    real = releases.registry.directory_at

    def fetch(revision: str) -> Path:
        if revision == promoted.revision:
            raise BundleRefused("damaged", code="digest")
        return real(revision)

    monkeypatch.setattr(releases.registry, "directory_at", fetch)
    assert follow(releases.registry, releases.bundle, tmp_path / "n1").serves() == "1.0.1"
    with pytest.raises(BundleRefused):  # a node that never served anything has nothing better
        follow(releases.registry, releases.bundle, tmp_path / "n2")


def swapped_and_failing(following: Following, releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote 1.0.2, whose every answer fails on this node, and let three requests find out."""
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    example = following.node.examples()[0]["transaction"]

    def broken(*arguments: object) -> None:
        raise FloatingPointError("a defect of this release")

    with monkeypatch.context() as patch:
        patch.setattr(following.champion.scorer, "score", broken, raising=False)
        for _ in range(3):
            with pytest.raises(FloatingPointError):
                following.node.score(example)
    following.updates.step()


def test_a_version_whose_answers_fail_is_rolled_back_and_not_taken_again(
    following: Following, releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped_and_failing(following, releases, monkeypatch)
    said = following.said[-1]
    assert following.serves() == "1.0.1" and following.updates.rollbacks == 1
    assert (said.state, said.served.version) == ("rolled_back", "1.0.1")
    assert said.reason.startswith("1.0.2: 3 of 3 answers failed")
    releases.record("1.0.3")  # the registry changes, its champion does not
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.1" and "rolled back here" in str(following.champion.problem)
    again = follow(releases.registry, releases.bundle, tmp_path / "n1")
    assert again.serves() == "1.0.1" and again.said[0].state == "rolled_back"


def test_a_newer_change_that_names_a_version_again_is_followed(
    following: Following, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped_and_failing(following, releases, monkeypatch)
    releases.registry.rollback()
    releases.registry.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    assert following.serves() == "1.0.2" and following.champion.rolled_back is None
    assert following.said[-1].state == "serving" and following.champion.problem is None


def test_mistakes_of_the_sender_are_not_held_against_a_version(
    following: Following, releases: Releases
) -> None:
    releases.promote("1.0.2")
    following.updates.announce(None)
    following.updates.step()
    for _ in range(20):
        with pytest.raises(TransactionError, match=r"missing|not a field"):
            following.node.score({"no": "such field"})
    following.updates.step()
    assert following.serves() == "1.0.2"


def test_what_does_not_change_is_said_again_after_a_minute(following: Following) -> None:
    following.updates.step()
    assert len(following.said) == 1
    following.seconds.now += 61
    following.updates.step()
    assert len(following.said) == 2


def test_a_node_keeps_nothing_of_what_it_scores(following: Following) -> None:
    with pytest.raises(FlagError, match="keeps nothing"):
        following.node.score(following.node.examples()[0]["transaction"], keep=True)
