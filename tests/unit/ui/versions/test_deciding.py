"""The Versions tab to decide on: nobody does without a login and a confirmation."""

from typing import Any

import gradio as gr
import pytest

from fraud.errors import BundleRefused, StorageError
from fraud.registry import ModelRegistry
from fraud.releasing import Moved
from fraud.service import FraudService
from fraud.ui.access import ReviewAccess
from fraud.ui.language import Localised
from fraud.ui.review import ReviewTab
from fraud.ui.versions import VersionsTab
from tests.unit.ui.versions.conftest import HOSTILE, NOBODY, PASSWORD, confirm, look, propose, shown


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
