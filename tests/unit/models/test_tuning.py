"""The search resumes, stays before the test window, and calls nothing optimised that is not."""

import numpy as np
import pytest

pytest.importorskip("optuna")

from fraud.cli_tune import models_section, report, with_models
from fraud.data.profile import ModelSettings, Profile, load_profile, parse_profile
from fraud.data.sources import load_transactions
from fraud.errors import ProfileError
from fraud.models import tuning
from fraud.models.folds import Figures
from fraud.models.tuning import Trial, Tuned, tune

LIGHT = {
    "random_forest": {"n_estimators": 8, "min_samples_leaf": 5},
    "xgboost": {"n_estimators": 10, "learning_rate": 0.3, "max_depth": 3},
}


@pytest.fixture
def light(small_profile: Profile, monkeypatch: pytest.MonkeyPatch) -> Profile:
    def suggest(trial, name):
        leaf = trial.suggest_int("leaf", 1, 30)
        parameter = "min_samples_leaf" if name == "random_forest" else "min_child_weight"
        return ModelSettings.model_validate({name: LIGHT[name] | {parameter: leaf}})

    monkeypatch.setattr(tuning, "suggest", suggest)
    monkeypatch.setattr(tuning, "DEFAULTS", LIGHT)
    return small_profile.model_copy(update={"models": ModelSettings.model_validate(LIGHT)})


def run(profile, table, path, n_trials, **options):
    done = []
    tuned = tune(
        table,
        profile,
        n_trials=n_trials,
        study=path / "study.journal",
        data_digest="abc",
        n_folds=3,
        models=("random_forest",),
        on_trial=lambda name, n: done.append(n),
        **options,
    )
    return tuned["random_forest"], done


def test_a_stopped_search_goes_on_where_it_stopped(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    first, done = run(light, table, tmp_path, 2)
    assert done == [1, 2]
    second, done = run(light, table, tmp_path, 3)
    assert done == [3]
    assert {t.settings.model_dump_json() for t in first.trials} <= {
        t.settings.model_dump_json() for t in second.trials
    }
    _, done = run(light.model_copy(update={"name": "other"}), table, tmp_path, 1)
    assert done == [1], "another profile starts another study"


def test_the_search_never_sees_the_test_window_nor_the_held_back_fold(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    seen = run(light, table, tmp_path / "a", 2)[0]
    plan = tuning.prequential_folds(table, light, 3)[-1]
    labels = table.labels.copy()
    later = table.times() >= plan.as_of_ms
    labels[later] = np.random.default_rng(0).permutation(labels[later])
    changed = run(light, table.with_labels(labels, table.known_at_ms), tmp_path / "b", 2)[0]
    assert [t.precisions for t in seen.trials] == [t.precisions for t in changed.trials]
    assert [f.ap for f in seen.optimised[:-1]] == [f.ap for f in changed.optimised[:-1]]


def test_the_command_reports_both_models_and_writes_what_it_found(
    small_profile_path, tmp_path, monkeypatch, capsys
) -> None:
    from fraud.cli import main

    def suggest(trial, name):
        return ModelSettings.model_validate(LIGHT)

    monkeypatch.setattr(tuning, "suggest", suggest)
    monkeypatch.setattr(tuning, "DEFAULTS", LIGHT)
    copy = tmp_path / "own.toml"
    copy.write_text(small_profile_path.read_text(encoding="utf-8"), encoding="utf-8")
    command = ["tune", "--profile", str(copy), "--trials", "2", "--folds", "2"]
    assert main([*command, "--study", str(tmp_path / "s.journal"), "--write", str(copy)]) == 0
    printed = capsys.readouterr().out
    assert "## random_forest" in printed and "## xgboost" in printed and "be called optimised" in printed
    assert load_profile(copy).models.xgboost, "the file still parses"


def outcome(difference, held_back, **chosen) -> Tuned:
    settings = ModelSettings.model_validate({"random_forest": {"max_features": 0.3}} | chosen)
    figures = (Figures(np.zeros(1), 0.5, 0.9, 0.3),) * 2
    trial = Trial(settings, (0.5,))
    return Tuned("random_forest", settings, "platt", (trial,), 0, figures, figures, difference, held_back)


def test_optimised_is_claimed_only_where_the_interval_excludes_zero_and_the_held_back_fold_agrees() -> None:
    assert outcome((0.02, 0.01, 0.03), (0.01, -0.02, 0.04)).may_be_called_optimised
    assert not outcome((0.02, -0.001, 0.03), (0.01, 0.0, 0.04)).may_be_called_optimised
    assert not outcome((0.02, 0.01, 0.03), (-0.01, -0.02, 0.0)).may_be_called_optimised
    doubtful = {"random_forest": outcome((0.0, -0.01, 0.01), (0.0, -0.1, 0.1))}
    assert "may NOT be called optimised" in report(doubtful, load_profile("cards"))


def test_the_section_that_is_written_is_read_back_as_the_settings_found() -> None:
    settings = {"random_forest": 20}
    found = {"random_forest": outcome((0.2, 0.1, 0.3), (0.1, 0, 0.2), negatives_per_fraud=settings)}
    import tomllib
    from importlib.resources import files

    text = (files("fraud.data") / "profiles" / "handbook.toml").read_text(encoding="utf-8")
    written = with_models(text, models_section(found, load_profile("handbook")))
    profile = parse_profile(tomllib.loads(written), "test")
    assert profile.models.random_forest == {"max_features": 0.3}
    assert profile.models.negatives_for("random_forest") == 20
    assert profile.models.calibration_for("random_forest") == "platt"
    before = load_profile("handbook")
    assert profile.features == before.features and profile.costs == before.costs
    assert with_models(written, models_section(found, load_profile("handbook"))) == written
    with pytest.raises(ProfileError, match="models"):
        with_models("name = 'x'\n", models_section(found, load_profile("handbook")))


def test_a_search_that_found_nothing_leaves_the_settings_as_they_were() -> None:
    before = load_profile("handbook").models
    section = models_section({"random_forest": outcome((0, -1, 1), (0, 0, 0))}, load_profile("handbook"))
    import tomllib

    kept = tomllib.loads(section)["models"]
    assert kept["random_forest"] == before.random_forest
    assert kept["negatives_per_fraud"]["random_forest"] == before.negatives_for("random_forest")


def test_defaults_are_those_of_the_libraries() -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier().get_params()
    assert {k: forest[k] for k in tuning.DEFAULTS["random_forest"]} == tuning.DEFAULTS["random_forest"]
