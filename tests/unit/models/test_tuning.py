"""The search resumes, stays before the test window, and calls nothing optimised that is not."""

import numpy as np
import pytest

pytest.importorskip("optuna")

from fraud.cli_tune import claim, models_section, report, with_models
from fraud.data.profile import ModelSettings, Profile, load_profile, parse_profile
from fraud.data.sources import load_transactions
from fraud.errors import FraudError, ProfileError
from fraud.models import folds, tuning
from fraud.models.analysis.validation import comparison_table
from fraud.models.figures.errors import verdict
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


def outcome(difference, held_back, origin="search", **chosen) -> Tuned:
    settings = ModelSettings.model_validate({"random_forest": {"max_features": 0.3}} | chosen)
    figures = (Figures(np.zeros(1), 0.5, 0.9, 0.3),) * 2
    return Tuned(
        name="random_forest",
        settings=settings,
        calibration="platt",
        trials=(Trial(settings, (0.5,)),),
        n_pruned=0,
        labels=(np.ones(1),) * 2,
        optimised=figures,
        baseline=figures,
        difference=difference,
        held_back=held_back,
        origin=origin,
    )


def test_optimised_is_claimed_only_where_the_held_back_folds_own_interval_excludes_zero() -> None:
    assert outcome((0.02, 0.01, 0.03), (0.01, 0.001, 0.04)).may_be_called_optimised
    flattered = outcome((0.02, 0.01, 0.03), (0.01, -0.02, 0.04))
    assert not flattered.may_be_called_optimised, "the folds it was chosen by prove nothing"
    assert not outcome((-0.001, -0.01, 0.03), (0.01, 0.001, 0.04)).may_be_called_optimised
    assert "may NOT be called optimised" in report({"random_forest": flattered}, load_profile("cards"))


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_no_fold_is_called_unseen_where_the_settings_are_older_than_the_search(language) -> None:
    unseen = {"en": "never saw", "pt-BR": "nunca viu"}[language]
    shown = {o: verdict(outcome((0.2,) * 3, (0.2,) * 3, o), language) for o in ("search", "profile", "check")}
    assert unseen in shown["search"]
    assert unseen not in shown["profile"] + shown["check"]
    assert "never saw" in claim(outcome((0.2,) * 3, (0.2,) * 3, "search"))
    for origin in ("profile", "check"):
        said = claim(outcome((0.2,) * 3, (0.2,) * 3, origin))
        assert "never saw" not in said and "no command can know" in said


def test_a_search_that_kept_the_profiles_own_settings_says_so(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    assert run(light, table, tmp_path, 1)[0].origin == "profile"


def test_each_folds_interval_is_told_once_with_one_number(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    tuned = run(light, table, tmp_path, 1)[0]
    newest = comparison_table(tuned).iloc[-1]
    assert tuple(newest[["difference", "low", "high"]]) == tuned.held_back


def interrupting(monkeypatch, nth: int) -> None:
    calls = []
    real = folds.judge

    def judge(*args, **options):
        calls.append(1)
        if len(calls) == nth:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(folds, "judge", judge)


def test_an_interrupted_first_trial_is_tried_again_and_uses_up_none(light, tmp_path, monkeypatch) -> None:
    table, _ = load_transactions(light, None)
    with monkeypatch.context() as patched:
        interrupting(patched, 2)
        with pytest.raises(KeyboardInterrupt):
            run(light, table, tmp_path, 1)
    resumed, done = run(light, table, tmp_path, 1)
    assert done == [1]
    assert [t.settings for t in resumed.trials] == [light.models]


def test_an_interrupted_later_trial_uses_up_none(light, tmp_path, monkeypatch) -> None:
    table, _ = load_transactions(light, None)
    with monkeypatch.context() as patched:
        interrupting(patched, 4)  # two search folds a trial: within the second one
        with pytest.raises(KeyboardInterrupt):
            run(light, table, tmp_path, 2)
    resumed, done = run(light, table, tmp_path, 2)
    assert done == [2] and len(resumed.trials) + resumed.n_pruned == 2


def test_a_killed_trial_counts_for_nothing(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    tuning._study(tmp_path / "study.journal", "random_forest", light, "abc", 3, 7).ask()  # RUNNING for ever
    resumed, done = run(light, table, tmp_path, 1)
    assert done == [1] and [t.settings for t in resumed.trials] == [light.models]


def test_a_search_without_a_completed_trial_says_what_to_do(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    with pytest.raises(FraudError, match="No trial of the search for random_forest was completed"):
        run(light, table, tmp_path, 0)


def test_new_settings_of_the_profile_are_tried_in_an_old_study(light, tmp_path) -> None:
    table, _ = load_transactions(light, None)
    run(light, table, tmp_path, 1)
    forest = light.models.random_forest | {"min_samples_leaf": 31}
    changed = light.model_copy(update={"models": light.models.model_copy(update={"random_forest": forest})})
    again, _ = run(changed, table, tmp_path, 1)
    assert forest in [t.settings.random_forest for t in again.trials]


def test_a_study_by_another_engine_is_another_study(light, tmp_path, monkeypatch) -> None:
    table, _ = load_transactions(light, None)
    run(light, table, tmp_path, 1)
    monkeypatch.setattr(tuning.acceleration, "N_BINS", 64)
    _, done = run(light, table, tmp_path, 1)
    assert done == [1], "what other bins came to is no figure of this search"


def test_a_check_judges_the_profiles_own_settings_on_the_searchs_folds_and_searches_nothing(
    small_profile_path, tmp_path, monkeypatch, capsys
) -> None:
    from fraud.cli import main

    monkeypatch.setattr(tuning, "suggest", lambda trial, name: pytest.fail("a check must not search"))
    monkeypatch.setattr(tuning, "DEFAULTS", LIGHT)
    command = ["tune", "--check", "--profile", str(small_profile_path), "--folds", "2"]
    assert main([*command, "--models", "random_forest", "--study", str(tmp_path / "s.journal")]) == 0
    printed = capsys.readouterr().out
    assert "own settings, no search" in printed and "be called optimised" in printed
    assert "trials" not in printed and "[models]" not in printed and not list(tmp_path.iterdir())
    profile = load_profile(small_profile_path)
    assert str(dict(profile.models.random_forest))[1:-1] in printed
    table, _ = load_transactions(profile, None)
    checked = tuning.check(table, profile, n_folds=2, models=("random_forest",))["random_forest"]
    assert checked.settings == profile.models
    assert claim(checked) in printed


def test_the_section_that_is_written_is_read_back_as_the_settings_found() -> None:
    settings = {"random_forest": 20}
    found = {"random_forest": outcome((0.2, 0.1, 0.3), (0.1, 0.01, 0.2), negatives_per_fraud=settings)}
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
        with_models("models = {}\n", models_section(found, load_profile("handbook")))


@pytest.mark.parametrize(
    "text",
    [
        "name = 'x'\n",
        "name = 'x'\n\n[models.random_forest]\na = 1\n\n[models.xgboost]\nb = 2\n",
        "name = 'x'\n\n[models]\n[models.xgboost]\nb = 2\n\n[costs]\nc = 3\n[models.random_forest]\na = 1\n",
    ],
)
def test_an_inferred_profile_takes_what_was_found_whatever_tables_its_models_are_in(text: str) -> None:
    import tomllib

    written = with_models(text, "[models]\nxgboost = { d = 4 }\n")
    before, after = tomllib.loads(text), tomllib.loads(written)
    assert after.pop("models") == {"xgboost": {"d": 4}}
    before.pop("models", None)
    assert after == before and with_models(written, "[models]\nxgboost = { d = 4 }\n") == written


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
