"""The Review tab's handlers: nothing without a login, every decision an event, and nothing decided unseen."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from fraud.errors import SettingsError
from fraud.records import Decision, Label
from fraud.service import FraudService
from fraud.settings import read_settings
from fraud.ui.access import FREE_TRIES, ReviewAccess
from fraud.ui.language import Localised
from fraud.ui.review import ReviewTab
from fraud.ui.withdrawing import WithdrawSection

NOBODY: Any = SimpleNamespace(client=None)
PASSWORD = "correct horse battery"  # noqa: S105 (nobody else's)


def build(service: FraudService, password: str | None = PASSWORD) -> ReviewTab:
    with gr.Blocks():
        return ReviewTab(service, Localised(), gr.State("en"), ReviewAccess(password))


@pytest.fixture
def tab(service: FraudService) -> ReviewTab:
    return build(service)


def request(session: str = "s") -> Any:
    return SimpleNamespace(session_hash=session, client=SimpleNamespace(host="192.0.2.1"))


def enter(tab: ReviewTab, password: str = PASSWORD) -> dict[Any, Any]:
    return tab._enter("en", "ana", password, request())


def flag(service: FraudService, n: int = 0, session: str = "s1", comment: str = "") -> str:
    prediction = service.score(service.examples()[n]["transaction"])
    alerts = [score.decision is not Decision.APPROVE for score in prediction.scores.values()]
    verdict = "right" if any(alerts) else "wrong"
    return service.flag(
        prediction.prediction_id, verdict, label=Label.FRAUD, comment=comment, consent=True, session=session
    ).receipt_id


def shown(updates: dict[Any, Any], tab: ReviewTab) -> str:
    return str(updates[tab._shown])


def test_without_a_password_the_tab_says_how_to_set_one(service: FraudService) -> None:
    localised = Localised()
    with gr.Blocks():
        tab = ReviewTab(service, localised, gr.State("en"), ReviewAccess(None))
    said = str([update for update in localised.updates("en").values()])
    assert "set FRAUD_REVIEW_PASSWORD" in said and not tab._gate.visible


def test_a_wrong_password_shows_nothing_of_the_queue(tab: ReviewTab, service: FraudService) -> None:
    flag(service)
    updates = enter(tab, "guess")
    assert set(updates) == {tab._said, tab._password} and "not the password" in updates[tab._said]
    for _ in range(FREE_TRIES):
        updates = enter(tab, "guess")
    assert "wait" in updates[tab._said] and "wait" in enter(tab)[tab._said]


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("token", ["", "forged", None, True])
def test_a_decision_without_a_login_is_refused(
    tab: ReviewTab, service: FraudService, token: Any, bulk: bool
) -> None:
    flag_id = flag(service)
    before = service.backlog()
    updates = tab._decider("accept", bulk=bulk)("en", token, [flag_id] if bulk else flag_id, "")
    assert "Log in first" in updates[tab._said] and updates[tab._token] == ""
    assert service.backlog() == before and len(service.review_queue()) == 1


def test_logging_out_ends_it_and_leaves_nothing_on_the_page(tab: ReviewTab, service: FraudService) -> None:
    flag_id = flag(service, comment="secret")
    token = enter(tab)[tab._token]
    closed = tab._leave("en", token)
    assert closed[tab._word] == closed[tab._facts] == "" and not closed[tab._case]["visible"]
    assert "Log in first" in tab._decider("accept")("en", token, flag_id, "")[tab._said]


def test_the_next_case_comes_by_itself(tab: ReviewTab, service: FraudService) -> None:
    flags = {flag(service, 0), flag(service, 1)}
    updates = enter(tab)
    first = shown(updates, tab)
    assert first == service.review_queue()[0].flag.flag_id
    updates = tab._decider("accept")("en", updates[tab._token], first, "called them")
    assert {first, shown(updates, tab)} == flags and "Accepted: 1" in updates[tab._said]
    assert updates[tab._note] == ""


def test_a_second_click_decides_nothing_unseen(tab: ReviewTab, service: FraudService) -> None:
    flag(service, 0), flag(service, 1)
    updates = enter(tab)
    token, first = updates[tab._token], shown(updates, tab)
    for finding in ("unsure", "reject"):
        updates = tab._decider(finding)("en", token, first, "")
    assert "already decided" in updates[tab._said]
    (left,) = [case for case in service.review_queue() if case.flag.flag_id == first]
    assert len(left.findings) == 1 and len(service.review_queue()) == 2


def test_what_one_was_unsure_about_waits_for_the_next_login(tab: ReviewTab, service: FraudService) -> None:
    flag_id = flag(service)
    updates = tab._decider("unsure")("en", enter(tab)[tab._token], flag_id, "ask the bank")
    assert shown(updates, tab) == "" and "(1)" in updates[tab._empty]["value"]
    again = enter(tab)
    assert shown(again, tab) == flag_id and "ask the bank" in again[tab._word]


def test_several_are_decided_at_once(tab: ReviewTab, service: FraudService) -> None:
    flags = [flag(service, 0), flag(service, 1)]
    updates = enter(tab)
    assert {value for _, value in updates[tab._selected]["choices"]} == set(flags)
    token = updates[tab._token]
    assert "at least one" in tab._decider("reject", bulk=True)("en", token, [], "")[tab._said]
    updates = tab._decider("reject", bulk=True)("en", token, [*flags, flags[0], "f_forged"], "a ring")
    assert "Rejected: 2" in updates[tab._said] and not service.review_queue()
    assert "Was this right?" in updates[tab._empty]["value"]


def test_a_note_that_is_too_long_gets_its_sentence_and_stays(tab: ReviewTab, service: FraudService) -> None:
    flag_id = flag(service)
    updates = tab._decider("accept")("en", enter(tab)[tab._token], flag_id, "x" * 10_000)
    assert "at most" in updates[tab._said] and tab._note not in updates and shown(updates, tab) == flag_id


def test_comments_notes_and_votes_are_escaped(tab: ReviewTab, service: FraudService) -> None:
    for session in ("s1", "s2"):
        flag(service, session=session, comment="<img src=x onerror=alert(1)>")
    token = enter(tab)[tab._token]
    first = service.review_queue()[0].flag.flag_id
    service.review(first, "unsure", "<script>", "bob")
    word = tab._present_case(
        next(case for case in service.review_queue() if case.flag.flag_id == first), "pt-BR"
    )[tab._word]
    assert "<img" not in word and "<script>" not in word and word.count("&lt;img") == 2
    assert "1 disseram fraude" in word and tab.in_language("pt-BR", None, token)[tab._said] == ""


def test_a_case_of_a_retired_version_is_shown_without_reasons(
    tab: ReviewTab, service: FraudService, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag(service)
    monkeypatch.setattr(service._champion, "scorer_of", lambda version: None)
    updates = enter(tab)
    assert all("no longer serves" in updates[head] for head in tab._answers.heads.values())
    assert all("decision" in updates[head] for head in tab._answers.heads.values())


def test_every_handler_is_private() -> None:
    from tests.unit.ui.conftest import StubService, any_profile

    with gr.Blocks() as page:
        ReviewTab(StubService(any_profile("cards")), Localised(), gr.State("en"), ReviewAccess(PASSWORD))  # type: ignore[arg-type]
    named = [f for f in page.fns.values() if f.fn is not None]
    assert named and all(f.api_visibility == "private" for f in named)


def test_the_password_is_a_secret_of_some_length() -> None:
    settings = read_settings({"FRAUD_REVIEW_PASSWORD": PASSWORD})
    assert settings.review.password == PASSWORD and PASSWORD not in repr(settings)
    assert read_settings({}).review.password is None
    with pytest.raises(SettingsError, match="at least 12"):
        read_settings({"FRAUD_REVIEW_PASSWORD": "short"})


@pytest.fixture
def section(service: FraudService) -> WithdrawSection:
    with gr.Blocks():
        return WithdrawSection(service, Localised(), gr.State("en"), gr.State(""), gr.State(""))


def test_a_receipt_can_be_withdrawn_now_or_later(section: WithdrawSection, service: FraudService) -> None:
    now, later = flag(service, 0), flag(service, 1)
    assert now in section._withdraw("en", now, "")[section._said]
    assert now in section.in_language("pt-BR", now)[section._said]
    done = section._withdraw_earlier("pt-BR", f" {later} ", NOBODY)
    assert "Retirado" in done[section._earlier_said] and done[section._earlier] == ""
    assert not service.review_queue() and service.receipt(now).withdrawn


def test_a_receipt_tells_where_its_answer_is(section: WithdrawSection, service: FraudService) -> None:
    flag_id = flag(service)
    assert "joins the feedback dataset" in section._trace_earlier("en", f" {flag_id} ")[section._earlier_said]
    service.drain()
    said = section._trace_earlier("pt-BR", flag_id)[section._earlier_said]
    assert "nenhuma versão foi treinada" in said and flag_id in said
    service.withdraw(flag_id)
    assert "Withdrawn" in section._trace_earlier("en", flag_id)[section._earlier_said]
    assert "Nothing with" in section._trace_earlier("en", "<b>")[section._earlier_said]


@pytest.mark.parametrize("typed", ["", "f_nothing", "<b>", None])
def test_an_unknown_receipt_is_said_so(section: WithdrawSection, typed: Any) -> None:
    said = section._withdraw_earlier("en", typed, NOBODY)[section._earlier_said]
    assert "Nothing with this receipt" in said and "<b>" not in said
