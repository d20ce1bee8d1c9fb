"""A retraining serves at cut-offs of the newest traffic, and is judged at those from before the window."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fraud.data.profile import DAY_MS, Profile
from fraud.data.sources import load_transactions
from fraud.features.history import History
from fraud.models import bundle as bundles
from fraud.models.analysis.held_out import read_held_out
from fraud.models.bundle import load_bundle
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.train import Training, average_fraud, train
from fraud.records import MODELS, Thresholds
from fraud.retraining.evidence import measure
from fraud.retraining.gate import GatePolicy


@pytest.fixture(scope="module")
def profile(small_profile: Profile) -> Profile:
    """Return the small profile with 15 days beyond the held-out window, and room for 6 alerts a day."""
    return small_profile.model_copy(
        update={
            "evaluation": small_profile.evaluation.model_copy(update={"test_days": 16}),
            "costs": small_profile.costs.model_copy(update={"alerts_per_day": 6}),
        }
    )


@pytest.fixture(scope="module")
def training(profile: Profile) -> Training:
    return train(load_transactions(profile, None)[0], profile, newest_cut_off=True)


@pytest.fixture(scope="module")
def written(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("newest") / "artifacts"
    examples = choose_examples(training)
    write_bundle(training, directory, version="1.1.0", data_source={}, examples=examples, parity_rows=1_000)
    return directory


def test_what_is_served_spends_the_budget_on_the_newest_days(training: Training, written: Path) -> None:
    newest = training.newest
    assert newest is not None
    table, served = training.transactions, load_bundle(written)
    assert newest.times().min() > table.times()[training.split.test].max()
    n_days = (newest.times().max() - newest.times().min()) / DAY_MS
    assert 13 < n_days < 14
    history = History.of(table, training.profile)
    features = training.pipeline.transform(newest, history)
    for name in MODELS:
        model = served.models[name]
        alerts = model.calibration(model.forest.probability(features)) >= model.thresholds.review
        budget = int(6 * n_days)
        assert budget * 0.9 <= alerts.sum() <= budget, "ties at the cut-off may leave some of it unspent"


def test_figures_and_the_gate_are_of_the_cut_off_from_before_the_window(
    training: Training, written: Path
) -> None:
    served, held_out = load_bundle(written), read_held_out(written)
    same_at_both = replace(
        served, models={n: replace(m, thresholds=m.judged_at) for n, m in served.models.items()}
    )
    for name in MODELS:
        model = training.models[name]
        assert model.thresholds.review != model.judged_at.review
        assert held_out.threshold(name) == model.judged_at.review
        assert held_out.confusion(name) == dict(model.confusion)
    sides = [
        measure(served, challenger, training.transactions, training.split.test, GatePolicy(), 1)
        for challenger in (served, same_at_both)
    ]
    for name in MODELS:
        assert sides[0].models[name].alerts_per_day == sides[1].models[name].alerts_per_day
        assert sides[0].models[name].comparison.difference_f1.value == 0.0


def test_the_gate_gives_both_versions_as_many_alerts_whatever_they_serve_with(
    training: Training, written: Path
) -> None:
    challenger = load_bundle(written)
    strict = Thresholds(0.9, 0.95)
    champion = replace(
        challenger, models={n: replace(m, judged_at=strict) for n, m in challenger.models.items()}
    )
    rows = training.split.test

    def judged(average_fraud: float | None):
        return measure(
            champion, challenger, training.transactions, rows, GatePolicy(), 1, average_fraud=average_fraud
        )

    fraud = average_fraud(training.transactions, training.split, training.profile)
    at_equal, own = judged(fraud), judged(None)
    assert at_equal.at_equal_alerts and not own.at_equal_alerts
    for name in MODELS:
        both = at_equal.models[name].alerts_per_day
        assert both is not None and both.champion == both.challenger <= 6.5
        apart = own.models[name].alerts_per_day
        assert apart is not None and apart.champion < apart.challenger
        counts = training.models[name].confusion
        n_days = len(np.unique(training.transactions.times()[rows] // DAY_MS))
        per_day = (counts["true_positives"] + counts["false_positives"]) / n_days
        assert both.challenger == pytest.approx(per_day), "what the release's own figures are of"


def test_the_manifest_and_the_card_say_which_days_set_the_cut_offs(training: Training, written: Path) -> None:
    manifest = bundles.read_manifest(written)[0]
    set_on = manifest["thresholds_set_on"]
    assert set_on["window"] == "newest" and set_on["n_rows"] == len(training.newest or ())
    card = (written / bundles.CARD_FILE).read_text(encoding="utf-8")
    assert f"{set_on['first_at'][:10]} to {set_on['last_at'][:10]}" in card
    for name in MODELS:
        entry = manifest["models"][name]
        assert np.isclose(entry["judged_at"]["review"], training.models[name].judged_at.review)
        assert (
            f"{entry['judged_at']['review']:.6g}" in card and f"{entry['thresholds']['review']:.6g}" in card
        )


def test_a_first_training_serves_at_the_cut_off_that_it_is_judged_at(small_bundle: Path) -> None:
    assert bundles.read_manifest(small_bundle)[0]["thresholds_set_on"] == {"window": "calibration"}
    for model in load_bundle(small_bundle).models.values():
        assert model.thresholds == model.judged_at
