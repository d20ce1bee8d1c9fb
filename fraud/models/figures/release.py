"""The views of a release: confusion matrices, importance, and how boosting was trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fraud.formats import number, probability
from fraud.models.analysis.held_out import HeldOut
from fraud.models.analysis.importance import N_EACH
from fraud.models.figures.labels import feature_labels
from fraud.models.figures.views import (
    INK,
    MUTED,
    Axis,
    Beside,
    Confusion,
    Dots,
    Lines,
    Mark,
    Points,
    Series,
)
from fraud.models.figures.words import say
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES

N_FEATURES = 15
_UNBROKEN = "\u00a0"


def percent(share: float, language: str, decimals: int = 0) -> str:
    """Return a share as a percentage with that many decimals."""
    return f"{number(100 * share, language, decimals)}%"


def listed(parts: Sequence[str], language: str) -> str:
    """Return parts as one text; semicolons where a comma is a decimal mark."""
    return ("; " if language.startswith("pt") else ", ").join(parts)


def interval(entry: Any, language: str, decimals: int = 3) -> str:
    """Return a metric of the manifest with its limits: "0.524 [0.496, 0.548]"."""
    shown = [
        number(float(entry[k]), language, decimals)
        for k in ("value", "low", "high")
        if entry.get(k) is not None
    ]
    if len(shown) < 3:
        return shown[0]
    return f"{shown[0]} [{listed(shown[1:], language)}]".replace(" ", _UNBROKEN)


def confusion_view(held_out: HeldOut, model: str, language: str) -> Confusion:
    """Return a model's counts on the test window, with their shares of the legitimate and of the frauds."""
    counts = held_out.confusion(model)
    names = (("true_negatives", "false_positives"), ("false_negatives", "true_positives"))
    values = tuple(tuple(counts[name] for name in row) for row in names)
    totals = [sum(row) for row in values]

    def share(row: int, column: int) -> str:
        rate = values[row][column] / totals[row] if totals[row] else 0.0
        shown = percent(rate, language, 2 if row == 0 else 1)
        return say(("of_legitimate", "of_frauds")[row], language, share=shown)

    metrics = held_out.manifest["models"][model]["metrics"]
    title = say(
        "confusion_title", language, model=MODEL_TITLES[model],
        recall=percent(float(metrics["recall"]["value"]), language),
        precision=percent(float(metrics["precision"]["value"]), language),
    )  # fmt: skip
    note = say(
        "confusion_note", language, n=number(len(held_out), language, 0),
        threshold=probability(held_out.threshold(model), language), f1=interval(metrics["f1"], language),
    )  # fmt: skip
    legitimate, fraud = (say(key, language) for key in ("legitimate", "fraud"))
    return Confusion(
        title=title,
        note=note,
        rows=(
            f"{legitimate}\n{number(totals[0], language, 0)}",
            f"{fraud}\n{number(totals[1], language, 0)}",
        ),
        columns=(say("approve", language), say("alert", language)),
        counts=_square(lambda row, column: values[row][column]),
        names=_square(lambda row, column: say(names[row][column], language)),
        shares=_square(share),
        shown_counts=_square(lambda row, column: number(values[row][column], language, 0)),
        colour=MODEL_COLOURS[model],
    )


def _square(cell: Any) -> Any:
    return tuple(tuple(cell(row, column) for column in (0, 1)) for row in (0, 1))


def importance_view(held_out: HeldOut, model: str, language: str, n: int = N_FEATURES) -> Dots:
    """Return a model's mean |SHAP| per feature, largest first, with 95% limits."""
    entry = held_out.manifest["models"][model]
    labels = feature_labels(held_out.profile, language)
    ranked = sorted(entry["importance"].items(), key=lambda item: -item[1]["value"])
    shown, scale = ranked[:n], 100.0 if entry["scale"] == "probability" else 1.0
    axis = "importance_points" if entry["scale"] == "probability" else "importance_log_odds"

    def column(key: str) -> Any:
        found = [e[key] if e.get(key) is not None else np.nan for _, e in shown]
        return np.array(found, np.float64) * scale

    groups = [labels.get(name, name) for name, _ in shown]
    return Dots(
        title=say("importance_title", language, model=MODEL_TITLES[model], feature=f"“{groups[0]}”"),
        note=say(
            "importance_note",
            language,
            n=len(shown),
            total=len(ranked),
            each=_n_explained(held_out, language),
        ),
        groups=groups,
        series=[
            Points(MODEL_TITLES[model], MODEL_COLOURS[model], column("value"), column("low"), column("high"))
        ],
        axis=Axis(say(axis, language)),
        bars=True,
    )


def _n_explained(held_out: HeldOut, language: str) -> str:
    """Return how many frauds, and as many legitimate transactions, importance was taken over."""
    frauds = int(held_out.labels.sum())
    return number(min(N_EACH, frauds, len(held_out) - frauds), language, 0)


def rounds_view(held_out: HeldOut, language: str) -> Beside | None:
    """Return boosting's training and validation curves with the chosen number of trees; None without any."""
    curves, best = held_out.curves, held_out.manifest["models"]["xgboost"].get("best_iteration")
    if not curves or best is None:
        return None
    panels = [_rounds(curves, metric, int(best), language) for metric in ("aucpr", "logloss")]
    n, chosen = len(curves["validation_logloss"]), int(best) + 1
    key = "rounds_title_stopped" if chosen < n else "rounds_title_open"
    return Beside(
        title=say(key, language, chosen=number(chosen, language, 0), n=number(n, language, 0)),
        note=_trained_on(held_out, language),
        left=panels[0],
        right=panels[1],
    )


def _trained_on(held_out: HeldOut, language: str) -> str:
    """Return what boosting was fitted on and validated by; older releases kept no count of fitted rows."""
    windows, fitted = held_out.manifest["windows"], held_out.manifest["models"]["xgboost"].get("fitted")
    validation = windows["calibration"]

    def share(part: Any) -> str:
        return f"{number(100 * part['n_frauds'] / max(part['n_rows'], 1), language, 2)}%"

    rows = {"validation": number(validation["n_rows"], language, 0), "validation_share": share(validation)}
    ratio = held_out.profile.models.negatives_for("xgboost")
    if fitted is None and ratio is not None:
        train, chosen = number(windows["train"]["n_rows"], language, 0), number(ratio, language, 0)
        return say("rounds_note_thinned", language, train=train, ratio=chosen, **rows)
    train = windows["train"] if fitted is None else fitted
    rows |= {"train": number(train["n_rows"], language, 0), "train_share": share(train)}
    return say("rounds_note", language, **rows)


def _rounds(curves: Any, metric: str, best: int, language: str) -> Lines:
    colour = MODEL_COLOURS["xgboost"]
    parts = (("train", MUTED, "dashed"), ("validation", colour, "solid"))
    series = []
    for part, ink, style in parts:
        values = np.array(curves[f"{part}_{metric}"], np.float64)
        series.append(Series(say(part, language), ink, np.arange(1.0, len(values) + 1), values, style=style))  # type: ignore[arg-type]
    value = float(series[1].y[best])
    words = say("chosen", language, n=number(best + 1, language, 0), value=number(value, language, 4))
    return Lines(
        title=say("rounds_ap" if metric == "aucpr" else "rounds_loss", language),
        note="",
        series=series,
        x=Axis(say("round", language)),
        y=Axis(""),
        marks=[Mark(best + 1.0, value, words, INK, above=metric == "logloss")],
        vertical=(best + 1.0, ""),
    )
