"""The four figures of a release, readable at a glance, from the training run's own predictions."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fraud.models.train import TrainedModel, Training

MODEL_COLOURS: Mapping[str, str] = {"random_forest": "#0072B2", "xgboost": "#D55E00"}
"""One colour a model, everywhere; a pair of the Okabe-Ito palette, told apart by colour-blind readers."""
MODEL_TITLES: Mapping[str, str] = {"random_forest": "Random Forest", "xgboost": "XGBoost"}
_INK, _MUTED = "#1f2430", "#5b6472"


def write_figures(training: "Training", directory: Path) -> None:
    """Write matriz_confusao_{rf,xgb}.png, grafico_importancia_rf.png and grafico_validacao_xgb.png."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    style = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": _MUTED,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "figure.dpi": 110,
        "savefig.dpi": 150,
    }
    forest, boosting = training.models["random_forest"], training.models["xgboost"]
    with plt.rc_context(style):
        figures = {
            "matriz_confusao_rf.png": _confusion_figure(plt, forest, training),
            "matriz_confusao_xgb.png": _confusion_figure(plt, boosting, training),
            "grafico_importancia_rf.png": _importance_figure(plt, forest),
            "grafico_validacao_xgb.png": _validation_figure(plt, boosting),
        }
        for name, figure in figures.items():
            figure.savefig(directory / name, bbox_inches="tight", metadata={"Software": None})
            plt.close(figure)


def _confusion_figure(plt: Any, model: "TrainedModel", training: "Training") -> Any:
    counts = model.confusion
    cells = np.array(
        [
            [counts["true_negatives"], counts["false_positives"]],
            [counts["false_negatives"], counts["true_positives"]],
        ],
        dtype=float,
    )
    rates = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.6, 4.6))
    colour = MODEL_COLOURS[model.name]
    # Colour by the share of the row: counts differ by three orders of magnitude and would hide the frauds.
    shades = plt.matplotlib.colors.LinearSegmentedColormap.from_list("model", ["#f6f7f9", colour])
    axes.imshow(rates, cmap=shades, vmin=0, vmax=1, aspect="auto")
    for row in range(2):
        for column in range(2):
            ink = "white" if rates[row, column] > 0.55 else _INK
            text = f"{int(cells[row, column]):,}"
            axes.text(
                column, row - 0.06, text, ha="center", va="center", color=ink, fontsize=17, weight="bold"
            )
            share = f"{rates[row, column]:.2%} of the {'frauds' if row else 'legitimate'}"
            axes.text(column, row + 0.16, share, ha="center", va="center", color=ink, fontsize=9)
    axes.set_xticks([0, 1], ["approved", "alert (review or decline)"])
    axes.set_yticks([0, 1], ["legitimate", "fraud"], rotation=90, va="center")
    axes.set_xlabel("what the model said")
    axes.set_ylabel("what it was")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    metrics = model.metrics
    window = training.split.windows(training.transactions)["test"]
    title = f"{MODEL_TITLES[model.name]}: {metrics['recall'].value:.0%} of frauds found, "
    title += f"{metrics['precision'].value:.0%} of alerts right"
    axes.set_title(title, loc="left", weight="bold", fontsize=11.5, pad=22)
    note = f"{window['n_rows']:,} held-out transactions, alert at p ≥ {model.thresholds.review:.3f}, "
    note += f"F1 {_interval(metrics['f1'])}"
    axes.text(0, 1.03, note, transform=axes.transAxes, color=_MUTED, fontsize=8.5)
    return figure


def _importance_figure(plt: Any, model: "TrainedModel") -> Any:
    ranked = sorted(model.importance.items(), key=lambda item: -item[1].value)[:15][::-1]
    values = np.array([e.value for _, e in ranked]) * 100
    low = values - np.array([e.low or 0.0 for _, e in ranked]) * 100
    high = np.array([e.high or 0.0 for _, e in ranked]) * 100 - values
    figure, axes = plt.subplots(figsize=(7.4, 5.4))
    axes.barh(range(len(ranked)), values, color=MODEL_COLOURS[model.name], alpha=0.85, height=0.68)
    error = np.abs(np.vstack([low, high]))
    axes.errorbar(values, range(len(ranked)), xerr=error, fmt="none", ecolor=_INK, elinewidth=1, capsize=2)
    axes.set_yticks(range(len(ranked)), [name for name, _ in ranked], color=_INK)
    axes.set_xlabel("mean |SHAP value|, percentage points of raw fraud score (95% bootstrap interval)")
    axes.xaxis.grid(True, color="#e4e7ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    title = f"Random Forest: what moves the score most is {ranked[-1][0]}"
    axes.set_title(title, loc="left", weight="bold", fontsize=11.5)
    return figure


def _validation_figure(plt: Any, model: "TrainedModel") -> Any:
    curves, best = model.fitted.curves, model.fitted.best_iteration
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2))
    colour = MODEL_COLOURS["xgboost"]
    words = {"aucpr": "average precision (higher is better)", "logloss": "log loss (lower is better)"}
    for axes, metric in zip(panels, words, strict=True):
        for part, shade, style in (("train", _MUTED, "--"), ("validation", colour, "-")):
            values = curves.get(f"{part}_{metric}", [])
            axes.plot(range(1, len(values) + 1), values, style, color=shade, linewidth=1.8, label=part)
        if best is not None:
            axes.axvline(best + 1, color=_INK, linewidth=1, linestyle=":")
            axes.annotate(
                f"round {best + 1} chosen",
                (best + 1, 0.3),
                xycoords=("data", "axes fraction"),
                xytext=(-5, 0),
                textcoords="offset points",
                ha="right",
                fontsize=9,
                color=_INK,
            )
        axes.set_xlabel("boosting round (trees)")
        axes.set_title(words[metric], loc="left", fontsize=10, color=_INK)
        axes.grid(True, color="#e4e7ec", linewidth=0.8)
        axes.legend(frameon=False)
    figure.suptitle(
        "XGBoost: training and validation, where more trees stop helping on later data",
        x=0.01,
        ha="left",
        weight="bold",
        fontsize=11.5,
    )
    figure.tight_layout()
    return figure


def _interval(estimate: Any) -> str:
    if estimate.low is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
