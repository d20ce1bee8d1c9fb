"""The views of folds, of errors by group, of disagreements, and of two importances side by side."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fraud.data.profile import Profile
from fraud.formats import number, signed
from fraud.models.analysis.segments import MIN_FRAUDS
from fraud.models.analysis.validation import fold_summary
from fraud.models.figures.labels import group_label, level_label, segment_label
from fraud.models.figures.release import listed, percent
from fraud.models.figures.views import FAINT, Axis, Beside, Dots, Points
from fraud.models.figures.words import say
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES
from fraud.models.tuning import Tuned


def _points(name: str, colour: str, table: pd.DataFrame, value: str, low: str, high: str) -> Points:
    columns = (table[key].to_numpy(np.float64) for key in (value, low, high))
    return Points(name, colour, *columns)


def errors_view(profile: Profile, by: str, tables: Mapping[str, pd.DataFrame], language: str) -> Dots:
    """Return the share of frauds found in each group, both models.

    Parameters
    ----------
    by : what `groups_of` was asked for
    tables : model -> `errors_by`, all of the same groups
    """
    first = next(iter(tables.values()))
    missed = np.sum([table["n_missed"].to_numpy() for table in tables.values()], axis=0)
    shown = np.flatnonzero(first["n_frauds"].to_numpy() > 0)
    if not _is_ordered(profile, by):
        shown = shown[np.argsort(-missed[shown], kind="stable")]
    names = [level_label(profile, by, group, language) for group in first["group"].iloc[shown]]
    sizes = first["n_frauds"].iloc[shown]
    segment = segment_label(profile, by, language)
    worst = names[int(np.argmax(missed[shown]))] if names else ""
    return Dots(
        title=say("errors_title", language, segment=segment, group=f"“{worst}”"),
        note=say("errors_note", language, least=MIN_FRAUDS),
        groups=[
            f"{name} ({number(int(size), language, 0)})" for name, size in zip(names, sizes, strict=True)
        ],
        series=[
            _points(
                MODEL_TITLES[model],
                MODEL_COLOURS[model],
                table.iloc[shown],
                "recall",
                "recall_low",
                "recall_high",
            )
            for model, table in tables.items()
        ],
        axis=Axis(say("recall", language), percent=True, limits=(0.0, 1.0)),
        untold=say("too_few", language),
    )


def _is_ordered(profile: Profile, by: str) -> bool:
    """Return whether groups have an order of their own: hours and bands of a number, but not levels."""
    field = profile.by_column.get(by)
    return by == "hour" or (field is not None and field.kind != "category")


def folds_view(table: pd.DataFrame, model: str, language: str) -> Dots:
    """Return baseline and chosen settings' average precision by fold, of `comparison_table`."""
    groups = [
        say("fold_held_back" if held_back else "fold", language, n=fold)
        for fold, held_back in zip(table["fold"], table["held_back"], strict=True)
    ]
    separator = "; " if language.startswith("pt") else ", "
    newest = table.iloc[-1]
    bounds = separator.join(signed(float(newest[limit]), language, 3) for limit in ("low", "high"))
    none = np.full(len(table), np.nan)
    return Dots(
        title=say(
            "folds_title",
            language,
            model=MODEL_TITLES[model],
            difference=signed(float(newest["difference"]), language, 3),
            interval=f"[{bounds}]",
        ),
        note=say("folds_note" if newest["held_back"] else "folds_note_check", language),
        groups=groups,
        series=[
            Points(say("baseline", language), FAINT, table["baseline"].to_numpy(np.float64), none, none),
            Points(
                say("chosen_settings", language),
                MODEL_COLOURS[model],
                table["optimised"].to_numpy(np.float64),
                (table["baseline"] + table["low"]).to_numpy(np.float64),
                (table["baseline"] + table["high"]).to_numpy(np.float64),
            ),
        ],
        axis=Axis(say("ap_axis", language)),
    )


def verdict(tuned: Tuned, language: str) -> str:
    """Return what a search came to, and whether its model may be called optimised, in one paragraph."""

    def shown(difference: tuple[float, float, float]) -> str:
        value, *limits = (signed(v, language, 3) for v in difference)
        return f"{value} [{listed(limits, language)}]"

    if tuned.may_be_called_optimised:
        claim = "claim_yes"
    elif tuned.held_back[1] > 0:
        claim = "claim_elsewhere"
    else:
        claim = "claim_worse" if tuned.held_back[2] < 0 else "claim_zero"
    return say(
        "verdict",
        language,
        model=MODEL_TITLES[tuned.name],
        difference=shown(tuned.difference),
        held_back=shown(tuned.held_back),
        where=say(f"newest_{tuned.origin}", language),
        claim=say(claim, language),
        seen=say(f"seen_{tuned.origin}", language),
    )


def prequential_view(table: pd.DataFrame, language: str) -> Dots:
    """Return both models' average precision by fold, of `fold_table`."""
    summary = fold_summary(table)
    ap = summary[summary["metric"] == "ap"]
    means = [
        f"{MODEL_TITLES[model]} {number(mean, language, 3)} ± {number(sd, language, 3)}"
        for model, mean, sd in zip(ap["model"], ap["mean"], ap["sd"], strict=True)
    ]
    none = np.full(table["fold"].nunique(), np.nan)
    return Dots(
        title=say("prequential_title", language, means=listed(means, language)),
        note=say("prequential_note", language),
        groups=[say("fold", language, n=fold) for fold in sorted(table["fold"].unique())],
        series=[
            Points(MODEL_TITLES[str(m)], MODEL_COLOURS[str(m)], folds["ap"].to_numpy(np.float64), none, none)
            for m, folds in table.groupby("model", sort=False)
        ],
        axis=Axis(say("ap_axis", language)),
    )


def right_view(table: pd.DataFrame, first: str, second: str, language: str) -> Dots:
    """Return how often the first model is right where they disagree, of `who_is_right`."""
    whole = table[table["among"] == "all"].iloc[0]
    ahead = first if whole["first_right"] >= whole["second_right"] else second
    right = max(int(whole["first_right"]), int(whole["second_right"]))
    share = right / max(int(whole["n"]), 1)
    groups = [
        f"{say(f'among_{among}', language)} ({number(int(n), language, 0)})"
        for among, n in zip(table["among"], table["n"], strict=True)
    ]
    key = "right_title_even" if whole["low"] <= 0.5 <= whole["high"] else "right_title"
    return Dots(
        title=say(
            key,
            language,
            n=number(int(whole["n"]), language, 0),
            model=MODEL_TITLES[ahead],
            share=percent(share, language),
        ),
        note=say("right_note", language, first=MODEL_TITLES[first], second=MODEL_TITLES[second]),
        groups=groups,
        series=[_points(MODEL_TITLES[first], MODEL_COLOURS[first], table, "share", "low", "high")],
        axis=Axis(say("right_axis", language), percent=True, limits=(0.0, 1.0)),
        reference=0.5,
    )


def two_importances_view(
    table: pd.DataFrame, model: str, profile: Profile, scale: str, language: str, n: int = 12
) -> Beside:
    """Return what is lost without each group beside what it moves, of `side_by_side`."""
    shown = table.head(n)
    groups = [group_label(profile, str(group), language) for group in shown["group"]]
    factor = 100.0 if scale == "probability" else 1.0
    sizes = shown[["size", "size_low", "size_high"]] * factor
    title = say("two_title", language, model=MODEL_TITLES[model], feature=f"“{groups[0]}”")
    right = "two_right_points" if scale == "probability" else "two_right_log_odds"
    colour = MODEL_COLOURS[model]
    return Beside(
        title=title,
        note=say("two_note", language, n=len(shown), total=len(table)),
        left=Dots("", "", groups, [_points("", colour, shown, "drop", "drop_low", "drop_high")],
                  Axis(say("two_left", language)), bars=True, reference=0.0),
        right=Dots("", "", [""] * len(groups), [_points("", FAINT, sizes, "size", "size_low", "size_high")],
                   Axis(say(right, language)), bars=True),
    )  # fmt: skip
