"""One colour and one title for each model, everywhere; and the four PNGs of a release."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraud.models.analysis.held_out import HeldOut

MODEL_COLOURS: Mapping[str, str] = {"random_forest": "#0072B2", "xgboost": "#D55E00"}
"""One colour a model, everywhere; a pair of the Okabe-Ito palette, told apart by colour-blind readers."""
MODEL_TITLES: Mapping[str, str] = {"random_forest": "Random Forest", "xgboost": "XGBoost"}
FIGURES = (
    "matriz_confusao_rf.png",
    "matriz_confusao_xgb.png",
    "grafico_importancia_rf.png",
    "grafico_validacao_xgb.png",
)
LANGUAGE = "pt-BR"
"""The readers of the PNGs speak Portuguese; the page draws the same views in the visitor's language."""


def write_figures(held_out: "HeldOut", directory: Path) -> tuple[str, ...]:
    """Write the PNGs of a release from its held-out predictions; return their names.

    A release from before training curves were kept has no grafico_validacao_xgb.png to be drawn.
    """
    from fraud.models.figures.drawing import save
    from fraud.models.figures.release import confusion_view, importance_view, rounds_view

    views = (
        confusion_view(held_out, "random_forest", LANGUAGE),
        confusion_view(held_out, "xgboost", LANGUAGE),
        importance_view(held_out, "random_forest", LANGUAGE),
        rounds_view(held_out, LANGUAGE),
    )
    written = []
    for name, view in zip(FIGURES, views, strict=True):
        if view is not None:
            save(view, directory / name, LANGUAGE)
            written.append(name)
    return tuple(written)
