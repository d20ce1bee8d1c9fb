"""The views over all cut-offs (precision and recall, costs, calibration), and over more training data."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fraud.formats import money, number, signed
from fraud.models.analysis.curves import (
    Operating,
    at_budget,
    at_threshold,
    calibration_table,
    cost_table,
    precision_recall_table,
)
from fraud.models.analysis.held_out import HeldOut
from fraud.models.figures.release import listed, percent
from fraud.models.figures.views import Axis, Lines, Mark, Series
from fraud.models.figures.words import say
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES

_LEAST_SCORE = 1e-4


def precision_recall_view(held_out: HeldOut, language: str) -> Lines:
    """Return both models' precision over recall, with what the alert budget buys."""
    labels, per_day, n_days = held_out.labels, held_out.profile.costs.alerts_per_day, held_out.n_days
    series, marks, aps = [], [], []
    bought: dict[str, Operating] = {}
    for model, score in held_out.probability.items():
        table = precision_recall_table(labels, score, n_days)
        colour, title = MODEL_COLOURS[model], MODEL_TITLES[model]
        series.append(Series(title, colour, table["recall"].to_numpy(), table["precision"].to_numpy()))
        aps.append(f"{title} {number(_metric(held_out, model, 'ap'), language, 3)}")
        if per_day is not None and n_days is not None:
            bought[model] = at_budget(labels, score, per_day * n_days)
    best = max(bought, key=lambda model: bought[model].recall, default=None)
    title = say("pr_title_plain", language)
    if best is not None and per_day is not None:
        words = say("budget_mark", language, n=number(per_day, language))
        lowest = min(bought, key=lambda model: bought[model].precision)
        for model, point in bought.items():
            shown = words if model == lowest else ""
            marks.append(Mark(point.recall, point.precision, shown, MODEL_COLOURS[model], above=False))
        recalls = {percent(point.recall, language) for point in bought.values()}
        title = say(
            "pr_title_both" if len(recalls) == 1 else "pr_title", language, budget=number(per_day, language),
            recall=percent(bought[best].recall, language), best=MODEL_TITLES[best],
        )  # fmt: skip
    note = say(
        "pr_note", language, n=number(len(held_out), language, 0),
        frauds=number(float(labels.sum()), language, 0), aps=listed(aps, language),
    )  # fmt: skip
    return Lines(
        title=title,
        note=note,
        series=series,
        x=Axis(say("recall", language), percent=True, limits=(0.0, 1.0)),
        y=Axis(say("precision", language), percent=True, limits=(0.0, 1.04)),
        marks=marks,
    )


def _metric(held_out: HeldOut, model: str, name: str) -> float:
    return float(held_out.manifest["models"][model]["metrics"][name]["value"])


def cost_view(held_out: HeldOut, language: str) -> Lines:
    """Return what each cut-off of both models would have cost, the cut-off in use and the cheapest marked."""
    profile = held_out.profile
    series, marks, extra, none = [], [], [], 0.0
    for model, score in held_out.probability.items():
        grid = np.geomspace(1e-3, 1.0, 121)
        table = cost_table(held_out.labels, score, held_out.amount, profile.costs, grid)
        used = cost_table(
            held_out.labels, score, held_out.amount, profile.costs, np.array([held_out.threshold(model), 2.0])
        )
        none = float(used["total"].iloc[1])
        total, cheapest = float(used["total"].iloc[0]), float(table["total"].min())
        extra.append(max(total - cheapest, 0.0))
        colour = MODEL_COLOURS[model]
        series.append(
            Series(MODEL_TITLES[model], colour, table["threshold"].to_numpy(), table["total"].to_numpy())
        )
        first = model == next(iter(held_out.probability))
        words = say("threshold_mark", language) if first else ""
        marks.append(Mark(held_out.threshold(model), total, words, colour))
    low, high = (money(value, profile.currency, language) for value in (min(extra), max(extra)))
    return Lines(
        title=say(
            "cost_title", language, extra=low if low == high else say("from_to", language, low=low, high=high)
        ),
        note=say("cost_note", language, currency=profile.currency, none=money(none, "", language)),
        series=series,
        x=Axis(say("threshold_axis", language), logarithmic=True, percent=True),
        y=Axis(say("cost_axis", language, currency=profile.currency), limits=(0.0, 1.15 * none)),
        marks=marks,
    )


def calibration_view(held_out: HeldOut, language: str, n_bins: int = 10) -> Lines:
    """Return the share of frauds in bands of scores, both axes logarithmic."""
    series, agree, bands = [], 0, 0
    for model, score in held_out.probability.items():
        table = calibration_table(held_out.labels, score, n_bins)
        bands += len(table)
        agree += int(((table["low"] <= table["mean_score"]) & (table["mean_score"] <= table["high"])).sum())
        x, y, low, high = (
            np.maximum(table[name].to_numpy(), _LEAST_SCORE)
            for name in ("mean_score", "share", "low", "high")
        )
        series.append(Series(MODEL_TITLES[model], MODEL_COLOURS[model], x, y, low, high, "points"))
    verdict = say("calibration_holds", language, told=agree, n=bands)
    least = min(float(min(s.x.min(), s.low.min())) for s in series if s.low is not None)
    limits = (max(_LEAST_SCORE, 0.7 * least), 1.3)
    return Lines(
        title=say("calibration_title", language, verdict=verdict),
        note=say("calibration_note", language),
        series=series,
        x=Axis(say("score_axis", language), logarithmic=True, percent=True, limits=limits),
        y=Axis(say("share_axis", language), logarithmic=True, percent=True, limits=limits),
        diagonal=say("as_it_says", language),
    )


def learning_view(table: pd.DataFrame, language: str) -> Lines:
    """Return average precision over training rows, of `fraud.models.analysis.validation.learning_table`."""
    series, gains = [], []
    for model, curve in table.groupby("model", sort=False):
        name = str(model)
        values = {c: curve[c].to_numpy(np.float64) for c in ("n_rows", "ap", "low", "high")}
        series.append(
            Series(
                MODEL_TITLES[name],
                MODEL_COLOURS[name],
                values["n_rows"],
                values["ap"],
                values["low"],
                values["high"],
            )
        )
        gain = values["ap"][-1] - values["ap"][-2] if len(curve) > 1 else 0.0
        gains.append(f"{MODEL_TITLES[name]} {signed(float(gain), language, 3)}")
    return Lines(
        title=say("learning_title", language, gain=listed(gains, language)),
        note=say("learning_note", language),
        series=series,
        x=Axis(say("rows_axis", language), logarithmic=True),
        y=Axis(say("ap_axis", language)),
    )


def operating_table(held_out: HeldOut, language: str = "en") -> pd.DataFrame:
    """Return what each model does at its cut-off in use and at the alert budget, one row each."""
    rows: list[Mapping[str, object]] = []
    per_day, n_days = held_out.profile.costs.alerts_per_day, held_out.n_days
    for model, score in held_out.probability.items():
        points = {"threshold_mark": at_threshold(held_out.labels, score, held_out.threshold(model))}
        if per_day is not None and n_days is not None:
            points["budget_mark"] = at_budget(held_out.labels, score, per_day * n_days)
        for key, point in points.items():
            words = (
                say(key, language)
                if key == "threshold_mark"
                else say(key, language, n=number(per_day or 0, language))
            )
            rows.append(
                {
                    "model": MODEL_TITLES[model],
                    "at": words,
                    "threshold": point.threshold,
                    "n_alerts": point.n_alerts,
                    "recall": point.recall,
                    "precision": point.precision,
                }
            )
    return pd.DataFrame(rows)
