"""Answers that err: what one opinion may weigh, and that no alarm takes a slip for a missed fraud."""

from dataclasses import replace

import numpy as np
import pytest

from fraud.errors import SettingsError
from fraud.monitoring.assessing import Reference, assess, realised_performance
from fraud.monitoring.audited import AuditedWindow, audited_window
from fraud.monitoring.believing import answer_error, opinions_of, worth_of_claim
from fraud.monitoring.estimated import Meaning, fit_meaning
from fraud.monitoring.gap import gap_test
from fraud.monitoring.opinions import AnswerPolicy, Standing, least_favourable
from fraud.monitoring.verdicts import EvidencePolicy
from fraud.monitoring.words import opinions_lines
from tests.unit.monitoring.windows import CUT, PROFILE, observed

N = 3_000
POLICY = AnswerPolicy()
LOW = 0.01
"""The chance with which the lot falls on what nobody suspects: such an answer speaks for a hundred."""


def scored(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    p = rng.beta(0.03, 2, N)
    return p, (rng.random(N) < p).astype(float)


@pytest.fixture(scope="module")
def meaning() -> Meaning:
    rng = np.random.default_rng(1)
    parts = [scored(rng) for _ in range(10)]
    return fit_meaning(np.concatenate([y for _, y in parts]), np.concatenate([p for p, _ in parts]))


def answered(
    rng: np.random.Generator, error: float, *, asked_again: bool, policy: AnswerPolicy = POLICY
) -> AuditedWindow:
    """Return a window of answers that err; claims asked again are settled by somebody who errs as often."""
    p, truth = scored(rng)
    pi = np.where(p >= CUT, 1.0, 10 * LOW)
    asked = rng.random(N) < pi
    said = np.where(rng.random(N) < error, 1 - truth, truth)
    standing = np.full(N, Standing.LONE, np.int8)
    if asked_again:
        again = (said == 1) & (p < CUT)
        agrees = (truth == 1) ^ (rng.random(N) < error)
        standing[again] = np.where(agrees[again], Standing.CONFIRMED, Standing.OVERTURNED)
        said = np.where(again & ~agrees, 0.0, said)
    return audited_window(p, p >= CUT, np.where(asked, said, np.nan), asked, pi, standing, policy)


def few(labels: list[float], standing: Standing, policy: AnswerPolicy = POLICY) -> AuditedWindow:
    """Return fifty answered alerts, and ten answers that speak for a hundred predictions each."""
    p = np.r_[np.full(50, 0.5), np.full(1_000, 0.001)]
    asked = np.r_[np.ones(60, bool), np.zeros(990, bool)]
    y = np.full(1_050, np.nan)
    y[:50], y[50:60] = np.arange(50) % 2, labels
    pi = np.r_[np.ones(50), np.full(1_000, LOW)]
    rests_on = np.full(1_050, standing, np.int8)
    return audited_window(p, p >= CUT, y, asked, pi, rests_on, policy)


ONE_CLAIM = [1.0] + [0.0] * 9


def test_a_lone_claim_that_weighs_much_waits_and_one_among_alerts_does_not() -> None:
    window = few(ONE_CLAIM, Standing.LONE)
    assert window.awaiting.sum() == 1 and window.awaiting[50]
    assert window.without_claims().labels.sum() == 25
    assert window.with_claims().awaiting.sum() == 0


@pytest.mark.parametrize("standing", [Standing.CONFIRMED, Standing.OVERTURNED])
def test_a_settled_claim_does_not_wait(standing) -> None:
    assert few(ONE_CLAIM, standing).awaiting.sum() == 0


def test_where_nobody_errs_nothing_waits() -> None:
    assert few(ONE_CLAIM, Standing.LONE, AnswerPolicy(error=0)).awaiting.sum() == 0


def test_a_slip_moves_no_alarm_until_somebody_confirms_it(meaning) -> None:
    lone = gap_test(few([1.0] * 3 + [0.0] * 7, Standing.LONE), meaning)
    settled = gap_test(few([1.0] * 3 + [0.0] * 7, Standing.CONFIRMED), meaning)
    none = gap_test(few([0.0] * 10, Standing.LONE), meaning)
    assert lone is not None and settled is not None and none is not None
    assert lone.p_value == none.p_value and lone.n_awaiting == 3
    assert settled.significant and not lone.significant


@pytest.mark.parametrize("error", [0.0, 0.02])
def test_the_alarm_keeps_its_level_while_answers_err_as_assumed(meaning, error) -> None:
    rng = np.random.default_rng(3)
    fired = [
        gap_test(answered(rng, error, asked_again=True), meaning, n_draws=199).significant for _ in range(100)
    ]
    assert np.mean(fired) <= 0.08  # 3% and three standard errors


def test_believing_everybody_alarms_where_nothing_has_changed(meaning) -> None:
    """What the second opinion is for; without it this is what two slips in a hundred do."""
    rng = np.random.default_rng(4)
    naive = AnswerPolicy(error=0)
    fired = [
        gap_test(answered(rng, 0.02, asked_again=False, policy=naive), meaning, n_draws=199).significant
        for _ in range(40)
    ]
    assert np.mean(fired) > 0.3


def _observed(standing: Standing, labels: list[float]):
    p = np.r_[np.full(60, 0.5), np.full(1_000, 0.001)]
    y = np.full(1_060, np.nan)
    y[:60], y[60:120] = np.arange(60) % 2, labels + [0.0] * (60 - len(labels))
    asked = np.isfinite(y)
    return observed(p, y, asked, np.r_[np.ones(60), np.full(1_000, 0.06)], standing=standing)


def test_limits_hold_whether_a_claim_is_true_or_not() -> None:
    found = {
        name: realised_performance(_observed(standing, labels), "xgboost", PROFILE)
        for name, standing, labels in (
            ("lone", Standing.LONE, [1.0]),
            ("true", Standing.CONFIRMED, [1.0]),
            ("false", Standing.CONFIRMED, [0.0]),
        )
    }
    for figure in ("f1", "recall", "accuracy", "fraud_rate", "cost_per_1000"):
        lone, true, false = (found[name].figures[figure] for name in ("lone", "true", "false"))
        assert lone.low <= min(true.low, false.low) and lone.high >= max(true.high, false.high)
        assert min(true.value, false.value) <= lone.value <= max(true.value, false.value)
    assert found["lone"].n_frauds == found["false"].n_frauds == 30
    lasting = found["lone"].f1_lasting
    assert lasting is not None and found["false"].f1_lasting is not None
    assert lasting.high == found["false"].f1_lasting.high, "no alarm of F1 rests on one opinion"


def test_what_a_claim_is_worth_is_learnt_from_second_opinions() -> None:
    window = few([1.0] * 10, Standing.LONE)
    expected = np.where(window.probability < CUT, 0.001, 0.5)
    assert worth_of_claim(window, expected) == pytest.approx(0.047, abs=0.002)  # 1 true to 20 slips
    mixed = np.where(np.arange(60) < 55, Standing.CONFIRMED, Standing.LONE).astype(np.int8)
    assert worth_of_claim(replace(window, standing=mixed), expected) == pytest.approx(5.047 / 6, abs=0.01)


def test_the_rate_of_errors_is_what_second_opinions_refuted() -> None:
    window = few([0.0] * 10, Standing.LONE)
    assert answer_error(window).used == 0.02
    refuted = window.standing.copy()
    refuted[50:56] = Standing.OVERTURNED
    found = answer_error(replace(window, standing=refuted))
    assert found.found is not None and found.found.value == pytest.approx(0.6)
    assert found.used == found.found.low > 0.2, "more errors than assumed: the alarm allows for them"
    waiting = answer_error(few([1.0] * 6 + [0.0] * 4, Standing.LONE)).found
    assert waiting is not None and waiting.value == 0 and waiting.high > 0.6, "they may all be wrong"


def test_without_a_weighty_answer_the_rate_is_the_assumed_one() -> None:
    window = few([0.0] * 10, Standing.LONE, AnswerPolicy(lone_weight=1_000))
    assert answer_error(window).found is None and answer_error(window).used == 0.02


def test_the_least_favourable_errors_take_frauds_from_alerts_and_add_them_elsewhere() -> None:
    chance = np.array([[0.001], [0.001], [0.9], [0.1]])
    alerted, weighty = np.array([False, False, True, True]), np.array([True, False, False, False])
    found = least_favourable(chance, 0.02, alerted=alerted, weighty=weighty)[:, 0]
    twice = 0.001 * 0.98**2 + 0.999 * 0.02**2
    assert found == pytest.approx([twice, 0.001 * 0.98 + 0.999 * 0.02, 0.9 * 0.98 + 0.1 * 0.02, 0.1])
    assert least_favourable(chance, 0.0, alerted=alerted, weighty=weighty) == pytest.approx(chance)


@pytest.mark.parametrize("wrong", [{"error": -0.1}, {"error": 0.5}, {"error": np.nan}, {"lone_weight": 0.5}])
def test_a_policy_that_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(SettingsError):
        AnswerPolicy(**wrong)


def test_a_report_says_how_many_answers_rest_on_one_opinion_and_what_is_assumed(meaning) -> None:
    reference = Reference(meaning, None)
    seen = _observed(Standing.LONE, [1.0, 1.0])
    found = assess(seen, "xgboost", PROFILE, reference, as_of_ms=10**12, policy=EvidencePolicy())
    said = found.to_json()["opinions"]
    assert (said["n_lone"], said["n_confirmed"], said["n_awaiting"]) == (120, 0, 2)
    assert said["error"]["assumed"] == 0.02
    english, portuguese = (" ".join(opinions_lines(said, language)) for language in ("en", "pt-BR"))
    assert "120 rest on one opinion" in english and "2%" in english and "2 claims" in english
    assert "uma só opinião" in portuguese and "2 avisos" in portuguese
    one = opinions_of(few(ONE_CLAIM, Standing.LONE)).to_json()
    assert "One claim" in opinions_lines(one, "en")[-1] and "Um aviso" in opinions_lines(one, "pt-BR")[-1]
    assert opinions_lines(None, "en") == [], "reports of earlier versions"
