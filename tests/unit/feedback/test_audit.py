"""The audit sample: its probabilities, its lots, and what its answers estimate."""

import numpy as np
import pytest

from fraud.feedback.audit import AuditPolicy, AuditSampler, audited_f1, influence, is_drawn
from fraud.records import Score, Thresholds

CUTS = Thresholds(0.2, 0.8)
F1 = {"random_forest": 0.6, "xgboost": 0.7}


def scores(probability: float) -> dict[str, Score]:
    return {name: Score(name, probability, CUTS, CUTS.decide(probability)) for name in F1}


@pytest.mark.parametrize("alerted", [False, True])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_the_influence_is_the_root_mean_square_of_what_a_label_moves(alerted: bool, p: float) -> None:
    f, yhat = 0.6, float(alerted)
    squares = [(2 * y * yhat - f * (y + yhat)) ** 2 for y in (0, 1)]
    assert influence(p, alerted, f) == pytest.approx(np.sqrt((1 - p) * squares[0] + p * squares[1]))


def test_a_lot_is_the_same_for_ever_and_another_under_another_key() -> None:
    ids = [f"p_{i}" for i in range(2_000)]
    first = [is_drawn(b"key", i, 0.3) for i in ids]
    assert first == [is_drawn(b"key", i, 0.3) for i in ids]
    assert first != [is_drawn(b"other", i, 0.3) for i in ids]
    assert np.mean(first) == pytest.approx(0.3, abs=0.04)


def test_a_higher_probability_only_adds_predictions() -> None:
    drawn = [{i for i in range(500) if is_drawn(b"key", f"p_{i}", pi)} for pi in (0.1, 0.3, 1.0)]
    assert drawn[0] < drawn[1] < drawn[2] and len(drawn[2]) == 500


def test_the_share_is_met_and_every_prediction_has_its_floor() -> None:
    sampler = AuditSampler(AuditPolicy(share=0.1, floor=0.25), b"key")
    rng = np.random.default_rng(3)
    draws = [sampler.draw(f"p_{i}", scores(p), F1) for i, p in enumerate(rng.beta(0.3, 3, 5_000))]
    probability = np.array([d.probability for d in draws if d])
    assert probability.min() >= 0.025 and probability.max() <= 1
    assert probability.mean() == pytest.approx(0.1, abs=0.02)
    assert np.mean([d.asked for d in draws if d]) == pytest.approx(0.1, abs=0.02)


def test_a_share_of_nothing_draws_nothing() -> None:
    assert AuditSampler(AuditPolicy(share=0), b"key").draw("p_1", scores(0.5), F1) is None


def test_the_audited_f1_is_unbiased_and_sharper_than_a_uniform_sample() -> None:
    rng = np.random.default_rng(7)
    n, n_labels = 20_000, 300
    p = rng.beta(0.05, 3, n)
    y = (rng.random(n) < p).astype(float)
    alerted = (p >= 0.2).astype(float)
    truth = 2 * (y * alerted).sum() / (y.sum() + alerted.sum())
    size = np.array([influence(q, bool(a), truth) for q, a in zip(p, alerted, strict=True)])
    share = n_labels / n
    optimal = np.minimum(1.0, share * (0.25 + 0.75 * size / size.mean()))
    found: dict[str, list] = {"optimal": [], "uniform": []}
    for name, pi in (("optimal", optimal), ("uniform", np.full(n, share))):
        for _ in range(200):
            asked = rng.random(n) < pi
            found[name].append(audited_f1(y[asked], alerted[asked], pi[asked]))
    f1 = {name: np.array([e.f1 for e in estimates if e]) for name, estimates in found.items()}
    sd = {name: values.std() for name, values in f1.items()}
    estimates = [e for e in found["optimal"] if e]
    covered = np.mean([abs(e.f1 - truth) <= 1.96 * e.sd for e in estimates])
    print(
        f"F1 {truth:.3f}; optimal {f1['optimal'].mean():.3f} sd {sd['optimal']:.3f}, covered {covered:.0%};"
    )
    print(f"uniform {f1['uniform'].mean():.3f} sd {sd['uniform']:.3f}; {n_labels} labels")
    assert abs(f1["optimal"].mean() - truth) < 3 * sd["optimal"] / np.sqrt(200) + 0.005
    assert sd["optimal"] < sd["uniform"] / 2
    assert np.mean([e.sd for e in estimates]) == pytest.approx(sd["optimal"], rel=0.25)
    assert covered > 0.88


def test_without_a_fraud_or_an_alert_there_is_no_f1() -> None:
    assert audited_f1(np.zeros(3), np.zeros(3), np.full(3, 0.5)) is None
