"""The history of releases: what is told of each version, of each process, and what is never believed."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.errors import BundleRefused, NotFound, RepositoryError
from fraud.models.gate_summary import GATE_FILE, GATE_PAGE, parse_gate
from fraud.models.signing import SigningKey, TrustedKeys
from fraud.registry import ModelRegistry
from fraud.release_history import (
    SHOWN,
    SILENT_S,
    Release,
    ReleaseHistory,
    latest_refusal,
    read_release,
    standing_of,
)
from fraud.repositories.local import LocalRepository
from fraud.retraining.finishing import REPORT_FILES
from fraud.retraining.gate_report import write_report
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.webhooks.board import Acknowledgement
from tests.releases import gate_report, make_release
from tests.unit.conftest import NOW
from tests.unit.test_api import no_background

DIGEST = "a" * 64


@pytest.fixture
def history(champion: Champion) -> ReleaseHistory:
    return ReleaseHistory(champion, node="web", every_s=0.0, clock=lambda: NOW)


@pytest.fixture
def recorded(registry: ModelRegistry, small_bundle: Path, tmp_path: Path) -> ModelRegistry:
    """1.0.0 serves, 1.0.1 waits with a passed gate."""
    registry.ensure_champion(small_bundle)
    report = gate_report("1.0.0", "1.0.1")
    registry.record(
        make_release(small_bundle, tmp_path / "made", "1.0.1", champion="1.0.0", n_labels=9, report=report),
        "second",
    )
    registry.set_challenger("1.0.1", who="retrain@t")
    return registry


def said(version: str = "1.0.1", digest: str = DIGEST, state: str = "serving", age_s: float = 1.0):
    return Acknowledgement("n", version, digest, NOW, NOW - timedelta(seconds=age_s), state, "why")


def test_before_the_first_release_the_shipped_files_are_the_only_version(history: ReleaseHistory) -> None:
    timeline = history.timeline()
    (entry,) = timeline.entries
    assert entry.version == "1.0.0" and entry.release.revision is None and not timeline.recorded
    assert not entry.promotable and entry.release.summary is not None
    (own,) = history.standings(timeline)
    assert (own.node, own.version, own.state) == ("web", "1.0.0", "serving")


def test_each_version_has_its_roles_decisions_and_gate(
    history: ReleaseHistory, recorded: ModelRegistry
) -> None:
    recorded.promote("1.0.1", who="maria")
    timeline = history.timeline()
    newer, older = timeline.entries
    assert newer.roles == ("champion",) and older.roles == ("previous",)
    assert [d.action for d in newer.decisions] == ["promote", "challenge"]
    assert newer.promoted is not None and newer.promoted.who == "maria"
    assert older.promoted is not None and older.promoted.who == "shipped"
    gate = newer.release.gate
    assert gate is not None and gate.passed and gate.champion == "1.0.0" and newer.release.has_page
    assert older.release.gate is None and older.release.gate_problem is None
    assert older.promotable and not newer.promotable
    recorded.rollback(who="ana")
    restored = history.timeline().entry("1.0.0")
    assert restored is not None and restored.promoted is not None and restored.promoted.action == "rollback"


def test_what_is_told_is_read_again_only_after_a_while(champion: Champion, recorded: ModelRegistry) -> None:
    now = [0.0]
    history = ReleaseHistory(champion, every_s=5.0, monotonic=lambda: now[0])
    assert history.timeline().aliases.champion == "1.0.0"
    recorded.promote("1.0.1")
    assert history.timeline().aliases.champion == "1.0.0"
    assert history.timeline(fresh=True).aliases.champion == "1.0.1"
    recorded.rollback()
    now[0] = 5.0
    assert history.timeline().aliases.champion == "1.0.0"


def test_a_registry_out_of_reach_leaves_what_was_known_and_says_so(
    history: ReleaseHistory, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = history.timeline()

    def fail() -> None:
        raise RepositoryError("The registry is on fire.")

    monkeypatch.setattr(recorded, "revisions", fail)
    timeline = history.timeline()
    assert timeline.problem == "The registry is on fire." and timeline.entries == before.entries


def test_many_versions_are_cut_but_none_that_plays_a_role(
    history: ReleaseHistory, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = recorded.revisions()
    many = {f"2.0.{n}": known["1.0.1"] for n in range(SHOWN + 5)}
    monkeypatch.setattr(recorded, "revisions", lambda: known | many)
    timeline = history.timeline()
    assert [e.version for e in timeline.entries[-2:]] == ["1.0.1", "1.0.0"]
    assert len(timeline.entries) == SHOWN + 2 and timeline.n_older == 5


def test_a_manifest_that_names_another_version_is_not_shown_as_this_one(recorded: ModelRegistry) -> None:
    release = read_release(recorded, "3.0.0", recorded.revisions()["1.0.1"])
    assert release.summary is None and "says that it is another" in (release.problem or "")


def test_of_a_version_that_is_not_trusted_nothing_is_read(recorded: ModelRegistry) -> None:
    recorded.trusted = TrustedKeys((SigningKey.new().public,))
    release = read_release(recorded, "1.0.1", recorded.revisions()["1.0.1"])
    assert release.trusted is False and release.summary is None and "not signed" in (release.problem or "")


def test_a_report_that_was_changed_after_the_release_is_not_shown(
    small_bundle: Path, tmp_path: Path, champion: Champion, history: ReleaseHistory
) -> None:
    made = make_release(small_bundle, tmp_path, "1.0.1", report=gate_report("1.0.0", "1.0.1"))
    manifest = json.loads((made / "manifest.json").read_text())
    repository = LocalRepository(tmp_path / "registry")
    registry = ModelRegistry(repository)
    registry.record(made, "second")

    class Altered(LocalRepository):
        def read(self, path: str, revision: str) -> bytes:
            content = super().read(path, revision)
            return content.replace(b"<h1>", b"<h1><script>") if path in (GATE_PAGE, GATE_FILE) else content

    altered = ModelRegistry(Altered(tmp_path / "registry"))
    assert GATE_PAGE in manifest["files"]
    with pytest.raises(BundleRefused, match="digest"):
        ReleaseHistory(Champion(altered, small_bundle)).gate_page("1.0.1")
    assert history.gate_page("1.0.1").startswith(b"<!doctype html>")


@pytest.mark.parametrize("version", ["1.0.0", "9.9.9", "../1.0.1", "", "v1.0.1", "1.0.1\n", "--help"])
def test_a_version_without_a_report_has_no_page(
    history: ReleaseHistory, recorded: ModelRegistry, version: str
) -> None:
    with pytest.raises(NotFound):
        history.gate_page(version)


def test_the_page_opens_and_may_run_nothing(service: FraudService, recorded: ModelRegistry) -> None:
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        answer = client.get("/v1/versions/1.0.1/gate")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and policy.endswith("sandbox") and "script" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        for missing in ("1.0.0", "9.9.9", "..%2f..", "%00"):
            assert client.get(f"/v1/versions/{missing}/gate").status_code == 404


@pytest.mark.parametrize(
    ("acknowledgement", "state"),
    [
        (said(), "serving"),
        (said(version="1.0.0"), "behind"),
        (said(digest="b" * 64), "other_release"),
        (said(state="rolled_back", version="1.0.0"), "rolled_back"),
        (said(age_s=SILENT_S + 1), "silent"),
        (said(age_s=SILENT_S - 1), "serving"),
        (said(state="rolled_back", age_s=SILENT_S + 1), "rolled_back"),
    ],
)
def test_a_nodes_last_word_is_judged_beside_the_champion(acknowledgement, state: str) -> None:
    standing = standing_of(acknowledgement, Release("1.0.1", "r", DIGEST), NOW)
    assert standing.state == state and standing.reason == "why"


def test_without_a_champion_nobody_is_behind() -> None:
    assert standing_of(said(), None, NOW).state == "serving"


def test_this_process_says_when_it_serves_another_version(
    champion: Champion, history: ReleaseHistory, recorded: ModelRegistry
) -> None:
    champion.refresh()
    recorded.promote("1.0.1")
    (own,) = history.standings(history.timeline())
    assert (own.version, own.state) == ("1.0.0", "behind")
    champion.refresh()
    (own,) = history.standings(history.timeline())
    assert (own.version, own.state) == ("1.0.1", "serving")


def test_a_report_is_looked_for_where_a_retraining_puts_it() -> None:
    assert {GATE_FILE, GATE_PAGE} == set(REPORT_FILES.values())


def test_only_the_newest_run_counts_as_refused(tmp_path: Path) -> None:
    assert latest_refusal(tmp_path) is None
    for run, passed in (("20260101T0-a", True), ("20260102T0-b", False)):
        (tmp_path / run).mkdir()
        write_report(gate_report("1.0.0", "1.0.1", passed=passed), tmp_path / run)
    found = latest_refusal(tmp_path)
    assert found is not None and not found.passed
    (tmp_path / "20260103T0-c").mkdir()
    (tmp_path / "20260103T0-c" / "gate.json").write_text("{")
    assert latest_refusal(tmp_path) is None


@pytest.mark.parametrize(
    "raw", [b"{", b"[]", b'{"schema_version": 2, "passed": true}', b'{"schema_version": 1}', b"[" * 100_000]
)
def test_what_is_no_report_is_refused(raw: bytes) -> None:
    with pytest.raises(BundleRefused):
        parse_gate(raw)


def test_odd_parts_of_a_report_are_left_out() -> None:
    document = {
        "schema_version": 1, "passed": True, "champion": 7, "reasons": "all",
        "checks": [3, {"check": "size", "passed": "yes", "params": {"n": [1], "k": "a\nb"}}],
    }  # fmt: skip
    gate = parse_gate(json.dumps(document).encode())
    (rule,) = gate.rules
    assert gate.champion == "" and gate.reasons == () and not rule.passed and rule.params == {"k": "a b"}


# A decision holds only for what its maker saw


def test_a_decision_on_what_has_changed_meanwhile_changes_nothing(recorded: ModelRegistry) -> None:
    seen = recorded.aliases().sequence
    recorded.reject("1.0.1", who="somebody else")
    before = recorded.head()
    for decide in (
        lambda: recorded.promote("1.0.1", expected=seen),
        lambda: recorded.rollback(expected=seen),
        lambda: recorded.reject("1.0.1", expected=seen),
    ):
        with pytest.raises(RepositoryError, match="decided meanwhile"):
            decide()
    assert recorded.head() == before
    assert recorded.promote("1.0.1", expected=recorded.aliases().sequence).champion == "1.0.1"
