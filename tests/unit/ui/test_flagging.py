from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from fraud.errors import FlagError, NotFound
from fraud.records import Decision, Label
from fraud.service import FraudService
from fraud.ui.flagging import ServiceFlagging, alert_html, implied_label


def scored(service: FraudService) -> str:
    return service.score(service.examples()[0]["transaction"]).prediction_id


def test_it_is_gradios_flagging_interface() -> None:
    assert issubclass(ServiceFlagging, gr.FlaggingCallback)


def test_a_flag_goes_through_the_service_and_is_counted(service: FraudService) -> None:
    callback = ServiceFlagging(service)
    callback.setup([], "")
    assert callback.flag([scored(service), "fraud", "odd hour", True], "wrong", "session") == 1
    assert callback.flag([scored(service), "fraud", None, True], "wrong", None) == 2
    assert service.backlog() == 2


def test_without_consent_nothing_is_kept(service: FraudService) -> None:
    with pytest.raises(FlagError, match="consent"):
        ServiceFlagging(service).flag([scored(service), "fraud", "", "yes"], "wrong", "session")
    assert service.backlog() == 0


def test_a_prediction_that_is_gone_is_said_so(service: FraudService) -> None:
    with pytest.raises(NotFound):
        ServiceFlagging(service).flag(["p_gone", "fraud", "", True], "right", "session")


def prediction(*decisions: Decision) -> Any:
    return SimpleNamespace(scores={str(i): SimpleNamespace(decision=d) for i, d in enumerate(decisions)})


@pytest.mark.parametrize(
    ("decisions", "verdict", "label"),
    [
        ((Decision.APPROVE, Decision.APPROVE), "right", Label.LEGITIMATE),
        ((Decision.APPROVE, Decision.APPROVE), "wrong", Label.FRAUD),
        ((Decision.REVIEW, Decision.DECLINE), "right", Label.FRAUD),
        ((Decision.REVIEW, Decision.DECLINE), "wrong", Label.LEGITIMATE),
        ((Decision.APPROVE, Decision.DECLINE), "right", None),
    ],
)
def test_a_verdict_says_what_the_transaction_was_only_if_the_alerts_agree(
    decisions: tuple[Decision, ...], verdict: str, label: Label | None
) -> None:
    assert implied_label(prediction(*decisions), verdict) == label


def test_an_alert_escapes_what_people_typed() -> None:
    assert "<script>" not in alert_html("<script>")
