"""What if one thing were different? One field moves, and both models' answers are drawn along it."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr

from fraud import formats
from fraud.data.profile import Profile
from fraud.errors import FraudError
from fraud.models.figures.labels import unit_name
from fraud.models.report import MODEL_COLOURS
from fraud.records import MODELS, Prediction
from fraud.service import FraudService
from fraud.serving.what_if import Response, movable
from fraud.ui.answers import place
from fraud.ui.form import level_name, moment_of
from fraud.ui.language import Localised
from fraud.ui.plots import PlainFigure, plot_data, response_figure
from fraud.ui.texts import column_label, error_text, text

_DECISIONS = ("approve", "review", "decline")
_MAX_STEPS = 3


class WhatIfSection:
    """Draws itself inside the current Blocks context; `show` draws it for a prediction."""

    def __init__(self, service: FraudService, localised: Localised) -> None:
        self._service = service
        columns = movable(service.profile)
        amount = service.profile.columns.amount
        with gr.Column(elem_classes=["sheet", "what-if"], elem_id="what-if", visible=bool(columns)):
            localised.make(
                gr.HTML,
                lambda language: {
                    "value": f"<h3>{text('what_if', language)}</h3>"
                    f'<p class="quiet">{text("what_if_lead", language)}</p>'
                },
            )
            self.field = localised.make(
                gr.Dropdown,
                lambda language: {
                    "label": text("what_if_field", language),
                    "choices": [(name_of(service.profile, column, language), column) for column in columns],
                },
                value=amount if amount in columns else next(iter(columns), None),
                interactive=True,
                elem_id="what-if-field",
                elem_classes=["field"],
            )
            self._said = gr.HTML(elem_id="what-if-said")
            self._plot = gr.Plot(show_label=False, container=False, elem_classes=["response"])

    @property
    def outputs(self) -> list[Any]:
        """Every component that `show` changes."""
        return [self._said, self._plot]

    def show(self, prediction: Prediction, column: str | None, language: str) -> dict[Any, Any]:
        """Return the updates that show how the answers to a prediction respond to a column."""
        profile = self._service.profile
        if not column:
            return {}
        try:
            response = self._service.what_if(prediction, column)
        except FraudError as error:
            sentence = html.escape(error_text(error, profile, language))
            said = f'<div class="alert" role="alert"><p>{sentence}</p></div>'
            return {self._said: said, self._plot: gr.update(visible=False)}
        figure = plot_data(figure_of(profile, response, language))
        return {
            self._said: said_html(profile, response, language),
            self._plot: gr.update(value=figure, visible=True),
        }


def name_of(profile: Profile, column: str, language: str) -> str:
    """Return a column's name with its unit."""
    field = profile.by_column.get(column)
    unit = unit_name(field.unit, language) if field is not None else ""
    return column_label(profile, column, language) + (f" ({unit})" if unit else "")


def shown_value(profile: Profile, column: str, value: Any, language: str) -> str:
    """Return one value of a column for people."""
    if value is None:
        return text("unknown", language)
    field = profile.by_column.get(column)
    if field is None:
        return moment_of(profile, value).strftime("%H:%M")
    if field.kind != "number":
        return level_name(field, value, language)
    if column == profile.columns.amount:
        return formats.money(float(value), profile.currency, language)
    return f"{formats.exact(float(value), language)} {unit_name(field.unit, language)}".strip()


def said_html(profile: Profile, response: Response, language: str) -> str:
    """Return in words what the figure shows: each model's range, and where its decision changes."""
    items = "".join(
        f'<li><i class="key {model}"></i>{_sentence(profile, response, model, language)}</li>'
        for model in MODELS
    )
    cuts = "; ".join(
        text(
            "what_if_cuts",
            language,
            model=text(f"model_{model}", language),
            review=formats.percentage(response.thresholds[model].review, language),
            decline=formats.percentage(response.thresholds[model].decline, language),
        )
        for model in MODELS
    )
    return (
        f'<div role="status"><ul class="responses">{items}</ul></div>'
        f'<p class="fine">{text("what_if_bands", language, cuts=cuts)}</p>'
    )


def decisions_along(response: Response, model: str) -> list[tuple[int, str]]:
    """Return where a model's decision begins and changes along the values: (position, decision)."""
    thresholds = response.thresholds[model]
    decided = [thresholds.decide(float(p)).value for p in response.probabilities[model]]
    return [(i, d) for i, d in enumerate(decided) if i == 0 or d != decided[i - 1]]


def _sentence(profile: Profile, response: Response, model: str, language: str) -> str:
    probabilities = response.probabilities[model]
    said: dict[str, Any] = {
        "model": text(f"model_{model}", language),
        "low": formats.probability(float(probabilities.min()), language),
        "high": formats.probability(float(probabilities.max()), language),
    }

    def decision(name: str) -> str:
        return text(f"decision_{name}", language)

    def value(position: int) -> str:
        return html.escape(shown_value(profile, response.column, response.values[position], language))

    steps = decisions_along(response, model)
    if len({name for _, name in steps}) == 1:
        return text("what_if_same", language, decision=decision(steps[0][1]), **said)
    if not response.ordered:
        return text("what_if_steps", language, steps=_by_level(response, model, decision, value), **said)
    if len(steps) > _MAX_STEPS + 1:
        return text("what_if_many", language, n=len(steps) - 1, **said)
    words = [decision(steps[0][1])]
    words += [text("what_if_from", language, decision=decision(n), value=value(i)) for i, n in steps[1:]]
    return text("what_if_steps", language, steps=", ".join(words), **said)


def _by_level(response: Response, model: str, decision: Any, value: Any) -> str:
    thresholds, probabilities = response.thresholds[model], response.probabilities[model]
    groups: dict[str, list[str]] = {name: [] for name in _DECISIONS}
    for position, probability in enumerate(probabilities):
        groups[thresholds.decide(float(probability)).value].append(value(position))
    return "; ".join(f"{decision(name)}: {', '.join(levels)}" for name, levels in groups.items() if levels)


def figure_of(profile: Profile, response: Response, language: str) -> PlainFigure:
    """Return both models' answers along the field, between the three decisions."""
    column = response.column
    shown = [shown_value(profile, column, value, language) for value in response.values]
    positions: Sequence[Any] = shown
    timed = column == profile.columns.time
    if timed:
        positions = [moment_of(profile, value) for value in response.values]
    elif response.ordered:
        positions = list(response.values)
    lines = {}
    for model in MODELS:
        probabilities = [float(p) for p in response.probabilities[model]]
        heights = [place(p, response.thresholds[model]) for p in probabilities]
        name = text(f"model_{model}", language)
        words = [
            f"{s} \u00b7 {name} {formats.probability(p, language)}"
            for s, p in zip(shown, probabilities, strict=True)
        ]
        lines[model] = (MODEL_COLOURS[model], heights, words)
    return response_figure(
        positions,
        lines,
        response.here,
        bands=[text(f"decision_{name}", language) for name in _DECISIONS],
        joined=response.ordered,
        geometric=response.geometric,
        timed=timed,
        separators=",." if language.startswith("pt") else ".,",
    )
