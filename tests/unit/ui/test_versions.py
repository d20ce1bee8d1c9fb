"""The Versions tab: everybody looks, nobody decides without a login and a confirmation."""

from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from fraud.errors import BundleRefused, StorageError
from fraud.feedback.store import FeedbackStore
from fraud.models.gate_summary import GateRule
from fraud.registry import ModelRegistry
from fraud.releasing import Moved, ReleaseDesk
from fraud.repositories.local import LocalRepository
from fraud.service import FraudService
from fraud.serving.champion import Champion
from fraud.serving.shadow_report import ModelAgreement, ShadowReport
from fraud.ui.access import ReviewAccess
from fraud.ui.gate_words import rule_sentence
from fraud.ui.language import Localised
from fraud.ui.review import ReviewTab
from fraud.ui.versions import VersionsTab
from fraud.ui.versions_html import who
from fraud.webhooks.board import Acknowledgement
from fraud.webhooks.deliveries import WebhookOutbox
from fraud.webhooks.endpoints import parse_endpoints
from tests.releases import gate_report, make_release
from tests.unit.conftest import NOW

PASSWORD = "correct horse battery"  # noqa: S105 (nobody else's)
SECRET = "whsec_" + "QUJD" * 8
HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>"
NOBODY: Any = SimpleNamespace(session_hash="s", client=SimpleNamespace(host="192.0.2.1"))


@pytest.fixture
def board() -> list[Acknowledgement]:
    return []


@pytest.fixture
def service(
    tmp_path: Path, champion: Champion, registry: ModelRegistry, small_bundle: Path, board: list
) -> Any:
    outbox = WebhookOutbox(tmp_path / "hooks.sqlite3", parse_endpoints("https://node-a.example/x", (SECRET,)))
    store = FeedbackStore(tmp_path / "outbox", LocalRepository(tmp_path / "dataset.git"), "test")
    service = FraudService(
        champion,
        store,
        node="web",
        pseudonym_key=b"key",
        releases=ReleaseDesk(registry, small_bundle, outbox),
        board=lambda: tuple(board),
    )
    yield service
    service.close()


@pytest.fixture
def recorded(registry: ModelRegistry, small_bundle: Path, tmp_path: Path) -> ModelRegistry:
    """1.0.1 serves after 1.0.0; 1.0.2 passed its gate and waits; 1.0.3 is recorded."""
    registry.ensure_champion(small_bundle)
    made = tmp_path / "made"
    registry.record(make_release(small_bundle, made, "1.0.1"), "second")
    registry.promote("1.0.1", who="cli@here")
    report = gate_report("1.0.1", "1.0.2")
    registry.record(
        make_release(small_bundle, made, "1.0.2", champion="1.0.1", gain=0.01, n_labels=7, report=report),
        "third",
    )
    registry.record(make_release(small_bundle, made, "1.0.3"), "fourth")
    registry.set_challenger("1.0.2")
    return registry


@pytest.fixture
def access() -> ReviewAccess:
    return ReviewAccess(PASSWORD)


def build(service: FraudService, access: ReviewAccess) -> VersionsTab:
    with gr.Blocks(), gr.Tab("Versions") as opened:
        return VersionsTab(service, Localised(), gr.Radio(["en", "pt-BR"]), opened, access, gr.State(""))


@pytest.fixture
def tab(service: FraudService, access: ReviewAccess) -> VersionsTab:
    return build(service, access)


@pytest.fixture
def token(access: ReviewAccess) -> str:
    return access.log_in(PASSWORD, "maria", "s", "192.0.2.1")


def look(tab: VersionsTab, token: str = "", language: str = "en", **given: Any) -> dict[Any, Any]:
    tab._service.history.timeline(fresh=True)
    return tab.look(language, token, given.get("drawn", {}), given.get("pair", ()))


def propose(tab: VersionsTab, action: str, token: str, chosen: object = None) -> dict[Any, Any]:
    return tab._proposer(action)("en", token, chosen)


def confirm(tab: VersionsTab, token: str, proposal: Any, typed: object) -> dict[Any, Any]:
    return tab._decide("en", token, {}, (), proposal, typed)


def shown(updates: dict[Any, Any], *parts: Any) -> list[bool]:
    return [updates[part]["visible"] for part in parts]


# Looking


@pytest.mark.parametrize(
    ("language", "words"), [("en", "registry is empty"), ("pt-BR", "registro está vazio")]
)
def test_before_the_first_release_it_says_what_is_missing_and_how_to_get_it(
    tab: VersionsTab, language: str, words: str
) -> None:
    updates = look(tab, language=language)
    assert words in updates[tab._serving] and "python -m fraud retrain" in updates[tab._serving]
    assert "python -m fraud retrain" in updates[tab._waiting]
    assert not updates[tab._sides]["visible"] and "1.0.0" in updates[tab._timeline]


def test_the_timeline_says_who_let_which_version_serve(tab: VersionsTab, recorded: ModelRegistry) -> None:
    recorded.promote("1.0.2", who="a1" * 12)
    page = look(tab)[tab._timeline]
    assert page.index(">1.0.3<") < page.index(">1.0.2<") < page.index(">1.0.1<") < page.index(">1.0.0<")
    assert "maintainer <code>a1a1a1a1</code>" in page and "the command line on here" in page
    assert "the first start" in page and "Never promoted" in page
    assert 'href="v1/versions/1.0.2/gate"' in page and "7 labels" in page


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_a_challenger_comes_with_its_gate_and_its_shadow(
    tab: VersionsTab, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    assert "FRAUD_SHADOW=1" in look(tab, language=language)[tab._waiting]
    report = ShadowReport(
        "web", "2026-11-22T12:00:00+00:00", "2026-11-22T11:00:00+00:00", "1.0.1", "1.0.2", 200, 3, 0, None,
        {"xgboost": ModelAgreement(200, 190, 7, 3, 0.0123)}, 1.0, 1.0,
    )  # fmt: skip
    monkeypatch.setattr(tab._service, "shadow_report", lambda: report)
    page = look(tab, language=language)[tab._waiting]
    assert "1.0.2" in page and ("95%" in page) and (">7<" in page) and (">3<" in page)
    assert ("average precision changes by" in page) or ("precisão média muda" in page)


def test_who_serves_what_is_told_of_this_page_and_every_node(
    tab: VersionsTab, recorded: ModelRegistry, board: list[Acknowledgement]
) -> None:
    assert "No prediction node has reported" in look(tab)[tab._serving]
    board.append(Acknowledgement("node-b", "1.0.0", "a" * 64, NOW, NOW, "rolled_back", "7 of 9 failed"))
    page = look(tab)[tab._serving]
    assert "this page" in page and "node-b" in page and "went back by itself" in page and "7 of 9" in page


def test_a_board_that_cannot_be_read_does_not_close_the_tab(
    tab: VersionsTab, recorded: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise StorageError("broken")

    monkeypatch.setattr(tab._service.history, "standings", fail)
    updates = look(tab)
    assert "cannot be read" in updates[tab._serving] and "1.0.2" in updates[tab._timeline]


def test_only_what_changed_is_sent_again(tab: VersionsTab, recorded: ModelRegistry) -> None:
    first = look(tab)
    again = look(tab, drawn=first[tab._drawn])
    assert set(again) == {tab._drawn, tab._timer}
    recorded.promote("1.0.2")
    changed = look(tab, drawn=first[tab._drawn])
    assert tab._timeline in changed and tab._lead not in changed


def test_the_comparison_begins_with_what_may_change_next_and_keeps_a_choice(
    tab: VersionsTab, recorded: ModelRegistry
) -> None:
    updates = look(tab)
    assert (updates[tab._old]["value"], updates[tab._new]["value"]) == ("1.0.1", "1.0.2")
    assert "paired 95% interval" in updates[tab._difference] and "+0.010" in updates[tab._difference]
    chosen = look(tab, pair=("1.0.0", "1.0.3"))
    assert (chosen[tab._old]["value"], chosen[tab._new]["value"]) == ("1.0.0", "1.0.3")
    assert "two different" in tab._compare("en", "1.0.0", "1.0.0")[tab._difference]
    for odd in (None, HOSTILE, 7, ["1.0.0"]):
        assert "cannot be read" in tab._compare("en", "1.0.0", odd)[tab._difference]
    assert look(tab, pair=("1.0.0", HOSTILE))[tab._new]["value"] == "1.0.2"
    recorded.promote("1.0.2")
    updates = look(tab)
    assert (updates[tab._old]["value"], updates[tab._new]["value"]) == ("1.0.1", "1.0.2")


def test_the_last_refusal_is_told_with_its_reasons(
    tab: VersionsTab, recorded: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fraud.models.gate_summary import parse_gate
    from fraud.retraining.gate_report import write_report

    write_report(gate_report("1.0.1", "1.0.4", passed=False), tmp_path)
    refused = parse_gate((tmp_path / "gate.json").read_bytes())
    monkeypatch.setattr(tab._service.history, "refusal", lambda: refused)
    page = look(tab, language="pt-BR")[tab._timeline]
    assert "recusado" in page and "XGBoost: o recall onde channel=chip cai" in page


# Deciding: who


@pytest.mark.parametrize("token", ["", "forged", None, True, ["x"]])
@pytest.mark.parametrize("action", ["approve", "reject", "rollback", "promote"])
def test_nothing_is_proposed_without_a_login(
    tab: VersionsTab, recorded: ModelRegistry, token: Any, action: str
) -> None:
    updates = propose(tab, action, token, "1.0.3")
    assert "Log in first" in updates[tab._said] and updates[tab._proposal] == {}
    assert shown(updates, tab._sure, tab._actions) == [False, False]


@pytest.mark.parametrize("token", ["", "forged", None, True, ["x"]])
@pytest.mark.parametrize("action", ["promote", "reject", "rollback"])
def test_nothing_is_decided_without_a_login_even_with_a_proposal(
    tab: VersionsTab, recorded: ModelRegistry, token: Any, action: str
) -> None:
    before = recorded.head()
    version = {"rollback": "1.0.0"}.get(action, "1.0.2")
    proposal = {"action": action, "version": version, "sequence": recorded.aliases().sequence}
    updates = confirm(tab, token, proposal, version)
    assert "Log in first" in updates[tab._said] and recorded.head() == before


def test_whoever_only_looks_sees_no_button(tab: VersionsTab, recorded: ModelRegistry, token: str) -> None:
    buttons = (tab._approve, tab._reject, tab._rollback, tab._choose, tab._actions)
    assert shown(look(tab), *buttons) == [False] * 5 and look(tab)[tab._gate]["visible"]
    assert shown(look(tab, token), *buttons) == [True] * 5 and not look(tab, token)[tab._gate]["visible"]


def test_a_login_here_holds_and_a_logout_ends_it(
    tab: VersionsTab, recorded: ModelRegistry, access: ReviewAccess
) -> None:
    wrong = tab._enter("en", "", {}, (), "maria", "guess", NOBODY)
    assert "not the password" in wrong[tab._said] and tab._token not in wrong
    entered = tab._enter("en", "", {}, (), "maria", PASSWORD, NOBODY)
    assert entered[tab._actions]["visible"] and access.login_of(entered[tab._token]).reviewer == "maria"
    left = tab._leave("en", entered[tab._token], entered[tab._drawn], ())
    assert left[tab._gate]["visible"] and not left[tab._actions]["visible"]
    assert "Log in first" in propose(tab, "approve", entered[tab._token])[tab._said]


def test_a_logout_here_closes_the_review_tab_too(
    service: FraudService, tab: VersionsTab, access: ReviewAccess, token: str
) -> None:
    with gr.Blocks():
        review = ReviewTab(service, Localised(), gr.State("en"), access)
    assert review._opened("en", token)[review._bar]["visible"]
    tab._leave("en", token, {}, ())
    assert not review._opened("en", token)[review._bar]["visible"]


def test_where_nobody_can_log_in_the_tab_says_how_to_change_that(service: FraudService) -> None:
    localised = Localised()
    with gr.Blocks(), gr.Tab("Versions") as opened:
        VersionsTab(service, localised, gr.Radio(["en", "pt-BR"]), opened, ReviewAccess(None), gr.State(""))
    assert "FRAUD_REVIEW_PASSWORD" in str(list(localised.updates("en").values()))


def test_every_handler_is_private(service: FraudService, access: ReviewAccess) -> None:
    with gr.Blocks() as page, gr.Tab("Versions") as opened:
        VersionsTab(service, Localised(), gr.Radio(["en", "pt-BR"]), opened, access, gr.State(""))
    named = [f for f in page.fns.values() if f.fn is not None]
    assert len(named) > 10 and all(f.api_visibility == "private" for f in named)


# Deciding: what


def test_a_confirmed_promotion_serves_here_and_says_who_is_told(
    tab: VersionsTab, recorded: ModelRegistry, service: FraudService, token: str
) -> None:
    service.refresh()
    asked = propose(tab, "approve", token)
    assert "in place of 1.0.1" in asked[tab._sure_words] and "node-a-example" in asked[tab._sure_words]
    assert recorded.aliases().champion == "1.0.1", "a proposal alone changes nothing"
    done = confirm(tab, token, asked[tab._proposal], " 1.0.2 ")
    assert "1.0.2 is the champion" in done[tab._said] and "Told: node-a-example" in done[tab._said]
    assert service.model_version.version == "1.0.2" and "Version 1.0.2 serves" in done[tab._serving]
    assert done[tab._sure]["visible"] is False and done[tab._proposal] == {}
    decision = recorded.decisions(1)[0]
    assert decision.action == "promote" and "maria" not in decision.who and len(decision.who) == 24


def test_a_rollback_returns_to_the_previous_version(
    tab: VersionsTab, recorded: ModelRegistry, service: FraudService, token: str
) -> None:
    service.refresh()
    asked = propose(tab, "rollback", token)
    assert "1.0.0 becomes the champion again" in asked[tab._sure_words]
    done = confirm(tab, token, asked[tab._proposal], "1.0.0")
    assert "Rolled back: 1.0.0" in done[tab._said] and service.model_version.version == "1.0.0"


def test_a_rejected_challenger_waits_no_more_and_nothing_else_changes(
    tab: VersionsTab, recorded: ModelRegistry, token: str
) -> None:
    asked = propose(tab, "reject", token)
    assert asked[tab._typed]["visible"] is False and "Nobody is told" in asked[tab._sure_words]
    done = confirm(tab, token, asked[tab._proposal], "")
    aliases = recorded.aliases()
    assert "1.0.2 waits no more" in done[tab._said]
    assert (aliases.champion, aliases.challenger) == ("1.0.1", None)


def test_another_version_can_be_promoted_and_it_is_said_that_no_gate_judged_it(
    tab: VersionsTab, recorded: ModelRegistry, token: str
) -> None:
    offered = [value for _, value in look(tab, token)[tab._chosen]["choices"]]
    assert offered == ["1.0.3"], "the challenger and the previous version have buttons of their own"
    assert "Choose a version first" in propose(tab, "promote", token, None)[tab._said]
    asked = propose(tab, "promote", token, "1.0.3")
    assert "No gate has judged it" in asked[tab._sure_words]
    confirm(tab, token, asked[tab._proposal], "1.0.3")
    assert recorded.aliases().champion == "1.0.3"


@pytest.mark.parametrize("typed", ["", "1.0.1", "yes", None, 102, "1.0.2.", HOSTILE])
def test_a_confirmation_that_is_not_the_version_changes_nothing(
    tab: VersionsTab, recorded: ModelRegistry, token: str, typed: object
) -> None:
    asked = propose(tab, "approve", token)
    done = confirm(tab, token, asked[tab._proposal], typed)
    assert "not 1.0.2" in done[tab._said] and recorded.aliases().champion == "1.0.1"


def test_what_somebody_else_decided_meanwhile_stands(
    tab: VersionsTab, recorded: ModelRegistry, token: str
) -> None:
    asked = propose(tab, "rollback", token)
    recorded.promote("1.0.3", who="somebody else")
    done = confirm(tab, token, asked[tab._proposal], "1.0.0")
    assert "Nothing has changed" in done[tab._said] and "decided meanwhile" in done[tab._said]
    assert recorded.aliases().champion == "1.0.3" and "Version 1.0.3 serves" in done[tab._serving]


@pytest.mark.parametrize("chosen", ["9.9.9", "1.0.1", HOSTILE, 7, ["1.0.3"], {"a": 1}])
def test_a_version_that_cannot_be_promoted_is_not_proposed(
    tab: VersionsTab, recorded: ModelRegistry, token: str, chosen: object
) -> None:
    updates = propose(tab, "promote", token, chosen)
    assert "no longer possible" in updates[tab._said] and updates[tab._proposal] == {}


@pytest.mark.parametrize("proposal", [{}, {"action": "delete", "version": "1.0.2", "sequence": 1}])
def test_what_was_not_proposed_is_not_done(
    tab: VersionsTab, recorded: ModelRegistry, token: str, proposal: dict[str, Any]
) -> None:
    before = recorded.head()
    confirm(tab, token, proposal, "")
    assert recorded.head() == before


def test_a_promotion_that_is_refused_says_why_and_keeps_the_old_version(
    tab: VersionsTab, recorded: ModelRegistry, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = propose(tab, "approve", token)

    def refuse(*_: object, **__: object) -> Moved:
        raise BundleRefused(f"manifest.json: {HOSTILE}", code="digest")

    monkeypatch.setattr(tab._service, "promote", refuse)
    done = confirm(tab, token, asked[tab._proposal], "1.0.2")
    assert "Nothing has changed" in done[tab._said] and "<img" not in done[tab._said]


def test_a_promotion_that_reached_nobody_says_so(
    tab: VersionsTab, recorded: ModelRegistry, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(tab._service._releases._outbox, "enqueue", full)  # type: ignore[union-attr]
    asked = propose(tab, "approve", token)
    done = confirm(tab, token, asked[tab._proposal], "1.0.2")
    assert "1.0.2 is the champion" in done[tab._said] and "The disk is full." in done[tab._said]


def test_a_promotion_that_is_not_served_here_yet_says_so(
    tab: VersionsTab, recorded: ModelRegistry, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab._service, "refresh", lambda: False)
    tab._service.check()
    asked = propose(tab, "approve", token)
    done = confirm(tab, token, asked[tab._proposal], "1.0.2")
    assert "still scores with" in done[tab._said] and "another version" in done[tab._serving]


def test_an_interrupted_rollback_is_finished_and_not_taken_for_this_one(
    tab: VersionsTab, recorded: ModelRegistry, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = propose(tab, "rollback", token)
    finished = Moved(recorded.aliases(), changed=False)
    monkeypatch.setattr(tab._service, "rollback", lambda *_, **__: finished)
    said = confirm(tab, token, asked[tab._proposal], "1.0.0")[tab._said]
    assert "finished first: 1.0.1 serves" in said and "Rolled back" not in said


def test_cancelling_leaves_a_maintainer_at_work(tab: VersionsTab, token: str) -> None:
    assert shown(tab._cancelled(token), tab._sure, tab._actions, tab._gate) == [False, True, False]
    assert shown(tab._cancelled(""), tab._sure, tab._actions, tab._gate) == [False, False, True]


# What others wrote


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_no_text_of_a_registry_or_a_node_becomes_markup(
    tab: VersionsTab,
    recorded: ModelRegistry,
    small_bundle: Path,
    tmp_path: Path,
    board: list[Acknowledgement],
    token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_release(
        small_bundle,
        tmp_path / "hostile",
        "1.0.9",
        created_at=HOSTILE,
        features=[HOSTILE],
        recipe={HOSTILE: HOSTILE},
        environment={HOSTILE: HOSTILE},
        change={"replaces": HOSTILE, "size": "major", "reasons": [HOSTILE]},
        data={
            "source": HOSTILE, "name": HOSTILE, "sha256": HOSTILE, "n_rows": 3,
            "feedback": {
                "dataset_revision": HOSTILE, "n_labels": 2, "unused": {HOSTILE: 1}, "champion": HOSTILE,
                "gate": {key: {"difference_f1": {"value": 1}} for key in (HOSTILE, "xgboost")},
            },
        },
        report=gate_report(HOSTILE, HOSTILE),
    )  # fmt: skip
    recorded.record(made, "hostile")
    recorded.set_challenger("1.0.9", who=HOSTILE)
    board.append(Acknowledgement(HOSTILE, HOSTILE, "a" * 64, NOW, NOW, "rolled_back", HOSTILE))
    report = ShadowReport(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, "1.0.9", 2, 0, 0, HOSTILE,
        {HOSTILE: ModelAgreement(2, 1, 1, 0, 0.1)}, None, None,
    )  # fmt: skip
    monkeypatch.setattr(tab._service, "shadow_report", lambda: report)
    for language in ("en", "pt-BR"):
        updates = look(tab, token, language, pair=("1.0.1", "1.0.9"))
        tags = _Tags()
        tags.feed("".join(value for value in updates.values() if isinstance(value, str)))
        tags.feed(updates[tab._nothing]["value"])
        assert not tags.seen & {"img", "script", "iframe"}
        assert not {name for name in tags.attributes if name.startswith("on")}
        assert "alert(1)" in updates[tab._timeline] and "alert(1)" in updates[tab._difference]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ab" * 12, "maintainer <code>abababab</code>"),
        ("shipped", "the first start"),
        ("cli@node-1", "the command line on node-1"),
        ("retrain@trainer", "the retraining on trainer"),
        ("", "nobody known"),
        ("<b>", "&lt;b&gt;"),
        (None, "None"),
    ],
)
def test_who_decided_is_said_without_telling_who_it_is(name: object, words: str) -> None:
    assert who(name, "en") == words


@pytest.mark.parametrize(
    "rule",
    [
        GateRule("unheard_of", False, "xgboost", {}),
        GateRule("size", False, "", {"bytes": "many", "limit": 3}),
        GateRule("size", False, "", {"bytes": 10**400, "limit": 3}),
        GateRule("margin", True, "xgboost", {"metric": "{0.__class__}"}),
        GateRule("evidence", True, "", {}),
    ],
)
def test_a_rule_that_cannot_be_said_is_left_to_the_reports_own_words(rule: GateRule) -> None:
    assert rule_sentence(rule, "en") is None
