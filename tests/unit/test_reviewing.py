"""Reviews and withdrawals as the service and the REST interface offer them."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from fraud.api import build_api
from fraud.errors import FlagError, NotFound
from fraud.feedback.audit import Draw, claim_stands_for
from fraud.feedback.dataset import read_events
from fraud.feedback.trust import TrustPolicy, decide
from fraud.records import Decision, Finding, Label, Score
from fraud.repositories.local import LocalRepository
from fraud.review_order import case_value
from fraud.ui.evidence import word_html
from tests.unit.conftest import NOW
from tests.unit.test_api import no_background

PATIENT = timedelta(days=400)


@pytest.fixture
def flagged(service):
    """Return a function that flags the n-th example, and returns its receipt's id."""

    def flag(n=0, session="s1", label="fraud", comment="", **changes):
        transaction = dict(service.examples()[n]["transaction"]) | changes
        prediction = service.score(transaction)
        options = {"label": label, "comment": comment, "consent": True, "session": session}
        try:
            return service.flag(prediction.prediction_id, "wrong", **options).receipt_id
        except FlagError:  # the models said the same, so the answer was right
            return service.flag(prediction.prediction_id, "right", **options).receipt_id

    return flag


@pytest.fixture
def client(service):
    with TestClient(build_api(service, no_background, lambda: True)) as client:
        yield client


@pytest.fixture
def dataset(tmp_path):
    return LocalRepository(tmp_path / "dataset.git")


def queue(service, limit=50):
    return [case.flag.flag_id for case in service.review_queue(limit)]


@pytest.mark.parametrize("drained", [True, False])
def test_flags_wait_for_a_finding_wherever_they_are(service, flagged, drained):
    flags = {flagged(0), flagged(1)}
    if drained:
        service.drain()
    assert set(queue(service)) == flags
    assert len(queue(service, limit=1)) == 1


@pytest.mark.parametrize("drain", ["never", "before", "between"])
def test_a_decided_flag_leaves_the_queue_at_once(service, flagged, drain, dataset):
    first, second = flagged(0), flagged(1)
    if drain != "never":
        service.drain()
    receipt = service.review(first, "accept", "the card's owner called", "ana")
    if drain == "between":
        service.drain()
    assert queue(service) == [second]
    service.drain()
    assert queue(service) == [second]
    events, bad = read_events(dataset, dataset.head())
    (review,) = [event.review for event in events if hasattr(event, "review")]
    assert bad == [] and (review.review_id, review.flag_id) == (receipt.receipt_id, first)
    assert review.finding is Finding.ACCEPT and review.note == "the card's owner called"
    assert "ana" not in review.reviewer, "a pseudonym"


def test_an_unsure_finding_keeps_the_flag_and_lets_others_go_first(service, flagged):
    flag = flagged(0)
    (before,) = service.review_queue(1)
    service.review(flag, "unsure", "ask the bank", "ana")
    service.drain()
    (after,) = service.review_queue(1)
    assert after.value == before.value / 2
    assert [(review.finding, review.note) for review in after.findings] == [(Finding.UNSURE, "ask the bank")]


def test_a_case_has_the_earlier_votes_on_the_same_content(service, flagged):
    one = flagged(0, "s1")
    service.drain()
    two = flagged(0, "s2", label="legitimate")
    flagged(1)
    votes = {case.flag.flag_id: case.votes for case in service.review_queue()}
    assert {vote.flag_id for vote in votes[one]} == {vote.flag_id for vote in votes[two]} == {one, two}
    assert len({vote.reporter for vote in votes[one]}) == 2


def test_a_withdrawn_flag_is_no_case(service, flagged):
    service.withdraw(flagged(0))
    assert queue(service) == []
    service.drain()
    assert queue(service) == []


@pytest.mark.parametrize(("finding", "note"), [("maybe", ""), ("accept", "x" * 2001), ("accept", "\x00")])
def test_a_finding_that_breaks_a_rule_is_refused(service, flagged, finding, note):
    flag = flagged(0)
    with pytest.raises(FlagError):
        service.review(flag, finding, note, "ana")
    assert service.backlog() == 1


@pytest.mark.parametrize("flag_id", ["f_" + "0" * 26, "", "p_1", "x' OR 1=1 --"])
def test_a_finding_on_no_flag_is_refused(service, flag_id):
    with pytest.raises(NotFound):
        service.review(flag_id, "accept", "", "ana")


def test_disagreement_comes_before_the_amount_and_the_amount_before_nothing(service):
    def value(amount, **probabilities):
        prediction = service.score(dict(service.examples()[0]["transaction"]) | {"amount": amount})
        thresholds = next(iter(prediction.scores.values())).thresholds
        for model, p in probabilities.items():
            prediction.scores[model] = Score(model, p, thresholds, thresholds.decide(p))
        return case_value(prediction, service._stake)

    apart = value(10, random_forest=0.0, xgboost=1.0)
    assert apart > value(10_000, random_forest=0.0, xgboost=0.0) > value(10, random_forest=0.0, xgboost=0.0)
    assert 0 <= value(10, random_forest=1.0, xgboost=1.0) <= apart <= 4


class _EveryLot:
    """A sampler whose lot falls on everything, with the chance of what nobody suspects."""

    def draw(self, *_: object) -> Draw:
        return Draw(True, 0.0125)


@pytest.mark.parametrize("drained", [True, False])
def test_a_claim_that_speaks_for_many_is_decided_first(service, flagged, drained, monkeypatch):
    """The lot asked, a model saw nothing and somebody says fraud: one slip would stand for many frauds."""
    shown = [service.score(dict(example["transaction"])) for example in service.examples()]
    quiet = [n for n, p in enumerate(shown) if any(s.decision is Decision.APPROVE for s in p.scores.values())]
    for n in range(len(shown)):
        flagged(n, "s2", amount=9_000)
    monkeypatch.setattr(service, "_audit", _EveryLot())
    weighty = flagged(quiet[0])
    if drained:
        service.drain()
    first, second = service.review_queue(2)
    assert first.flag.flag_id == weighty and first.stands_for == pytest.approx(80)
    assert second.stands_for is None and first.value > second.value
    page = word_html(first, "en") + word_html(first, "pt-BR")
    assert "about 80 predictions" in page and "cerca de 80 previsões" in page


def test_only_a_missed_fraud_that_the_lot_asked_about_needs_a_second_opinion(service):
    prediction = service.score(dict(service.examples()[0]["transaction"]))
    thresholds = next(iter(prediction.scores.values())).thresholds
    for model in prediction.scores:
        prediction.scores[model] = Score(model, 0.0, thresholds, Decision.APPROVE)
    assert claim_stands_for(prediction, Label.FRAUD, asked=True, chance=0.01) == 100
    assert claim_stands_for(prediction, Label.FRAUD, asked=True, chance=0.5) is None, "it stands for two"
    assert claim_stands_for(prediction, Label.FRAUD, asked=False, chance=0.01) is None
    assert claim_stands_for(prediction, Label.FRAUD, asked=None, chance=None) is None
    assert claim_stands_for(prediction, Label.LEGITIMATE, asked=True, chance=0.01) is None
    for model in prediction.scores:
        prediction.scores[model] = Score(model, 1.0, thresholds, Decision.DECLINE)
    assert claim_stands_for(prediction, Label.FRAUD, asked=True, chance=0.01) is None, "both alerted"


@pytest.mark.parametrize("drained", [True, False])
def test_a_flood_of_one_kind_leaves_room_for_the_other(service, flagged, drained, monkeypatch):
    monkeypatch.setattr("fraud.reviewing.POOL", 4)
    shown = [service.score(dict(example["transaction"])) for example in service.examples()]
    seen = [{s.decision is Decision.APPROVE for s in p.scores.values()} for p in shown]
    quiet, alarm = seen.index({True}), next(n for n, kinds in enumerate(seen) if False in kinds)
    for number in range(5):  # claims of missed frauds, each by somebody else
        flagged(quiet, f"s{number}", amount=5 + number)
    # The honest case is worth less than any of them.
    monkeypatch.setattr(
        "fraud.review_order.case_value",
        lambda prediction, _: float(all(s.decision is Decision.APPROVE for s in prediction.scores.values())),
    )
    lone = flagged(alarm, "honest", label="legitimate")
    if drained:
        service.drain()
    found = queue(service)
    assert lone in found[:2] and len(found) == 3


def test_the_queue_reads_a_revision_once(service, flagged, monkeypatch):
    flagged(0)
    service.drain()
    queue(service)
    monkeypatch.setattr("fraud.reviewing._lines", None)
    assert len(queue(service)) == 1


# withdrawals


def test_what_was_withdrawn_is_used_for_no_training(service, flagged, dataset):
    gone, kept = flagged(0), flagged(1)
    for flag in (gone, kept):
        service.review(flag, "accept", "", "ana")  # else neither would be believed yet
    service.drain()
    before = dataset.head()
    service.withdraw(gone)
    service.drain()
    now = NOW + PATIENT
    assert len(decide(read_events(dataset, before)[0], TrustPolicy(), as_of=now).labels) == 2
    (label,) = decide(read_events(dataset, dataset.head())[0], TrustPolicy(), as_of=now).labels
    events, _ = read_events(dataset, dataset.head())
    assert label.prediction.prediction_id == next(e for e in events if e.event_id == kept).flag.prediction_id


def test_a_withdrawal_by_rest_is_followed_by_its_receipts(client, service, flagged):
    flag = flagged(0)
    answer = client.post("/v1/withdrawals", json={"receipt_id": flag})
    assert answer.status_code == 201
    assert client.post("/v1/withdrawals", json={"receipt_id": flag}).json() == answer.json()
    assert client.get(f"/v1/flags/{flag}").json()["state"] == "withdrawn"
    service.drain()
    assert client.get(f"/v1/flags/{answer.json()['receipt_id']}").json()["state"] == "committed"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"receipt_id": "f_" + "0" * 26}, 404, "receipt_id"),
        ({"receipt_id": "=cmd|' /C calc'!A0"}, 404, "receipt_id"),
        ({"receipt_id": "<script>alert(1)</script>"}, 404, "receipt_id"),
        ({"receipt_id": "\u202e\u0000"}, 404, "receipt_id"),
        ({"receipt_id": "x" * 65}, 422, "receipt_id"),
        ({"receipt_id": None}, 422, "receipt_id"),
        ({"receipt_id": "f_1", "all": True}, 422, "all"),
        ({}, 422, "receipt_id"),
        ([], 422, "body"),
    ],
)
def test_a_forged_withdrawal_gets_problem_details(client, flagged, body, status, field):
    flagged(0)
    answer = client.post("/v1/withdrawals", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["problems"][0]["field"] == field
    assert answer.json()["detail"].count(". ") == 0, "one sentence"
