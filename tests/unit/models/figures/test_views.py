"""A figure says what its numbers say, in both languages, whichever library draws it."""

import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.io
import pytest
from PIL import Image

from fraud.data.profile import load_profile
from fraud.features.history import history_names
from fraud.formats import number
from fraud.models.analysis.disagreement import who_is_right
from fraud.models.analysis.held_out import HeldOut, read_held_out
from fraud.models.analysis.segments import errors_by, hours_of, kinds_of
from fraud.models.figures.curves import (
    calibration_view,
    cost_view,
    learning_view,
    operating_table,
    precision_recall_view,
)
from fraud.models.figures.drawing import Picture, draw, png
from fraud.models.figures.errors import errors_view, right_view, two_importances_view
from fraud.models.figures.interactive import figure, panels
from fraud.models.figures.labels import feature_labels, group_label, level_label
from fraud.models.figures.release import confusion_view, importance_view, rounds_view
from fraud.models.figures.tables import readable
from fraud.models.figures.views import Axis, Beside, Dots, Lines, Points, View
from fraud.models.figures.words import WORDS
from fraud.models.report import MODEL_COLOURS
from fraud.records import MODELS

LANGUAGES = ("en", "pt-BR")


@pytest.fixture(scope="module")
def held_out(small_bundle: Path) -> HeldOut:
    return read_held_out(small_bundle)


def all_views(held_out: HeldOut, language: str) -> dict[str, View]:
    views: dict[str, View] = {f"confusion {m}": confusion_view(held_out, m, language) for m in MODELS}
    views |= {f"importance {m}": importance_view(held_out, m, language) for m in MODELS}
    rounds = rounds_view(held_out, language)
    assert rounds is not None
    views |= {
        "rounds": rounds,
        "precision-recall": precision_recall_view(held_out, language),
        "cost": cost_view(held_out, language),
        "calibration": calibration_view(held_out, language),
    }
    assert held_out.typology is not None and held_out.time_ms is not None
    groups = {"typology": kinds_of(held_out.typology, held_out.labels), "hour": hours_of(held_out.time_ms)}
    for by, group in groups.items():
        tables = {m: errors_by(group, held_out.labels, held_out.alerts(m)) for m in MODELS}
        views[by] = errors_view(held_out.profile, by, tables, language)
    right = who_is_right(held_out.labels, *(held_out.alerts(m) for m in MODELS))
    views["right"] = right_view(right, *MODELS, language)
    return views


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_is_drawn_by_both_libraries(held_out: HeldOut, language: str) -> None:
    for name, view in all_views(held_out, language).items():
        image = Image.open(BytesIO(png(view, language)))
        assert min(image.size) > 250, name
        drawn = panels(view, language) if isinstance(view, Beside) else (figure(view, language),)
        for one in drawn:
            json.loads(plotly.io.to_json(one))


def test_a_confusion_matrix_shows_the_manifests_counts_and_rates_of_its_rows(held_out: HeldOut) -> None:
    counts = held_out.manifest["models"]["xgboost"]["confusion"]
    view = confusion_view(held_out, "xgboost", "pt-BR")
    assert view.counts == (
        (counts["true_negatives"], counts["false_positives"]),
        (counts["false_negatives"], counts["true_positives"]),
    )
    assert view.rate(1, 0) + view.rate(1, 1) == pytest.approx(1)
    recall = counts["true_positives"] / (counts["true_positives"] + counts["false_negatives"])
    assert view.shares[1][1] == f"{100 * recall:.1f}% das fraudes".replace(".", ",")
    assert f"{100 * recall:.0f}% das fraudes" in view.title


def test_the_plotly_twin_of_a_confusion_matrix_holds_the_same_counts(held_out: HeldOut) -> None:
    view = confusion_view(held_out, "random_forest", "pt-BR")
    words = " ".join(a.text.replace("<br>", " ") for a in figure(view, "pt-BR").layout.annotations)
    for row in (0, 1):
        for column in (0, 1):
            assert view.shown_counts[row][column] in words and view.shares[row][column] in words


def test_the_twins_of_a_curve_hold_the_same_numbers(held_out: HeldOut) -> None:
    view = precision_recall_view(held_out, "en")
    traces = {t.name: t for t in figure(view, "en").data if t.mode == "lines"}
    for series in view.series:
        assert np.array_equal(traces[series.name].x, series.x)
        assert traces[series.name].line.color == series.colour


def test_one_colour_a_model_in_every_figure(held_out: HeldOut) -> None:
    for name, view in all_views(held_out, "en").items():
        if isinstance(view, Lines | Dots):
            for series in view.series:
                wanted = {"Random Forest": "random_forest", "XGBoost": "xgboost"}[series.name]
                assert series.colour == MODEL_COLOURS[wanted], name


def test_the_chosen_number_of_trees_is_marked_and_said(held_out: HeldOut) -> None:
    view = rounds_view(held_out, "pt-BR")
    assert view is not None and isinstance(view.right, Lines)
    chosen = held_out.manifest["models"]["xgboost"]["best_iteration"] + 1
    losses = held_out.curves["validation_logloss"]
    assert view.right.marks[0].x == chosen and str(chosen) in view.title
    assert view.right.marks[0].y == losses[chosen - 1] == min(losses)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rounds_say_what_was_fitted_and_both_parts_share_of_frauds(
    held_out: HeldOut, language: str
) -> None:
    fitted = held_out.manifest["models"]["xgboost"]["fitted"]
    whole = held_out.manifest["windows"]["train"]
    assert fitted["n_rows"] < whole["n_rows"] and fitted["n_frauds"] <= whole["n_frauds"]
    note = rounds_view(held_out, language).note
    assert number(fitted["n_rows"], language, 0) in note and number(whole["n_rows"], language, 0) not in note
    for part in (fitted, held_out.manifest["windows"]["calibration"]):
        assert f"{number(100 * part['n_frauds'] / part['n_rows'], language, 2)}%" in note


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_release_that_kept_no_count_of_fitted_rows_does_not_claim_all_of_them(held_out, language) -> None:
    manifest = json.loads(json.dumps(held_out.manifest))
    del manifest["models"]["xgboost"]["fitted"]
    older = HeldOut(**{**vars(held_out), "manifest": manifest})
    ratio = held_out.profile.models.negatives_for("xgboost")
    note = rounds_view(older, language).note
    assert re.search(rf"\b{ratio:.0f} (legitimate ones for each|legítimas por fraude)", note)


def test_a_release_without_curves_has_no_figure_of_them(held_out: HeldOut) -> None:
    without = HeldOut(**{**vars(held_out), "curves": {}})
    assert rounds_view(without, "en") is None


def test_importance_is_ranked_with_intervals_around_it(held_out: HeldOut) -> None:
    view = importance_view(held_out, "random_forest", "pt-BR")
    points = view.series[0]
    assert (np.diff(points.values) <= 0).all()
    assert (points.low <= points.values).all() and (points.values <= points.high).all()
    assert view.groups[0] in view.title and "pontos percentuais" in view.axis.words


def test_the_alert_budget_is_marked_where_it_lies_on_the_curve(held_out: HeldOut) -> None:
    table = operating_table(held_out)
    budget = table[table["at"].str.contains("budget")]
    assert (budget["n_alerts"] <= 30 * held_out.n_days).all()
    marks = {(m.x, m.y) for m in precision_recall_view(held_out, "en").marks}
    assert marks == set(zip(budget["recall"], budget["precision"], strict=True))


def test_without_days_or_a_budget_no_alert_budget_is_claimed(held_out: HeldOut) -> None:
    undated = HeldOut(**{**vars(held_out), "time_ms": None})
    view = precision_recall_view(undated, "en")
    assert view.marks == [] and "a day" not in view.title


def test_the_marked_cost_is_the_manifests(held_out: HeldOut) -> None:
    view = cost_view(held_out, "en")
    for model, mark in zip(held_out.probability, view.marks, strict=True):
        stated = held_out.manifest["models"][model]["metrics"]["cost_per_1000"]["value"]
        assert mark.y == pytest.approx(stated, abs=1e-5)


def test_an_even_disagreement_names_no_winner() -> None:
    labels, first = np.ones(40), np.arange(40) % 2 == 0
    view = right_view(who_is_right(labels, first, ~first), *MODELS, "en")
    assert "neither" in view.title
    view = right_view(who_is_right(labels, np.ones(40, bool), np.zeros(40, bool)), *MODELS, "en")
    assert "Random Forest is right in 100%" in view.title


def test_a_learning_curve_says_the_gain_of_its_last_step() -> None:
    table = pd.DataFrame(
        {"model": "xgboost", "n_rows": [100, 200], "ap": [0.5, 0.625], "low": 0.4, "high": 0.7}
    )
    view = learning_view(table, "pt-BR")
    assert "+0,125" in view.title
    assert png(view, "pt-BR")


def test_two_importances_keep_their_groups_in_one_order() -> None:
    table = pd.DataFrame(
        {
            "group": ["card_id", "amount"],
            **{k: [0.2, 0.1] for k in ("drop", "drop_low", "drop_high")},
            **{k: [0.01, 0.03] for k in ("size", "size_low", "size_high")},
        }
    )
    view = two_importances_view(table, "random_forest", load_profile("cards"), "probability", "pt-BR")
    assert isinstance(view.left, Dots) and isinstance(view.right, Dots)
    assert list(view.left.groups) == ["Cartão: histórico", "Valor"]
    assert view.right.series[0].values.tolist() == [1.0, 3.0]  # percentage points


def test_a_group_that_is_not_told_says_so_in_both_drawings() -> None:
    nothing = np.array([np.nan])
    view = Dots(
        "", "", ["a"], [Points("XGBoost", "#D55E00", nothing, nothing, nothing)], Axis("x"), untold="too few"
    )
    assert figure(view, "en").layout.annotations[0].text == "too few"
    assert png(view, "en") != png(Dots("", "", ["a"], view.series, view.axis), "en")


def test_names_from_clients_do_not_become_markup() -> None:
    nothing = np.array([0.5])
    view = Dots("", "", ["<img src=x>&"], [Points("<b>", "#D55E00", nothing, nothing, nothing)], Axis("<i>"))
    drawn = plotly.io.to_json(figure(view, "en"))
    assert "<img" not in drawn.replace("\\u003c", "<") and "<i>" not in drawn.replace("\\u003c", "<")


def test_equal_views_give_equal_bytes(held_out: HeldOut) -> None:
    view = importance_view(held_out, "random_forest", "pt-BR")
    assert png(view, "pt-BR") == Picture(view, "pt-BR")._repr_png_()


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov", "ulb"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_feature_of_every_profile_has_a_short_name_of_its_own(name: str, language: str) -> None:
    profile = load_profile(name)
    labels = feature_labels(profile, language)
    names = [n for a in profile.features.history for n in history_names(a)] + list(profile.features.calendar)
    assert set(names) <= set(labels)
    assert len({labels[n] for n in names}) == len(names)
    assert all(len(labels[n]) < 75 for n in names)


def test_names_of_groups_and_bands_are_in_the_readers_language() -> None:
    profile = load_profile("cards")
    assert group_label(profile, "card_id+channel", "pt-BR") == "Cartão + canal: histórico"
    assert group_label(profile, "merchant_id:known_frauds", "en") == "Merchant: known frauds"
    assert feature_labels(profile, "pt-BR")["km_from_home"] == "Distância de residência a estabelecimento"
    assert level_label(profile, "card_age_days", ">= 1000", "pt-BR") == "1.000 ou mais"
    assert level_label(profile, "amount", "0.5 to 10", "pt-BR") == "0,5 a 10"
    assert level_label(profile, "category", "cash_withdrawal", "pt-BR") == "Saque"
    assert level_label(profile, "typology", "lost_stolen", "pt-BR") == "Perda ou roubo"
    assert level_label(profile, "typology", "3", "pt-BR") == "Fraude 3"
    assert level_label(profile, "typology", "new_kind", "pt-BR") == "New kind"


def test_a_table_is_written_in_the_readers_language() -> None:
    table = pd.DataFrame({"group": ["amount"], "n": [12345], "share": [0.25], "low": [0.1], "high": [np.nan]})
    shown = readable(table, "pt-BR", load_profile("cards"))
    assert shown.index.name == "grupo" and shown.index.tolist() == ["Valor"]
    assert shown.iloc[0].tolist() == ["12.345", "25,0%", "10,0%", "–"]  # noqa: RUF001


@pytest.mark.parametrize("key", WORDS)
def test_every_text_has_the_same_gaps_in_both_languages(key: str) -> None:
    import string

    gaps = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in WORDS[key]]
    assert gaps[0] == gaps[1] and all(text.strip() for text in WORDS[key])


def test_a_tick_is_written_with_the_decimals_that_it_has() -> None:
    values = np.array([0.49, 0.61])
    view = Dots("", "", ["a", "b"], [Points("", "#D55E00", values, values, values)], Axis("x"))
    drawn = draw(view, "pt-BR")
    axes = drawn.axes[0]
    ticks = axes.xaxis.get_major_formatter().format_ticks([0.475, 0.5, 0.525])
    assert ticks == ["0,475", "0,5", "0,525"]
