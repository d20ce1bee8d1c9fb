"""The Models tab: how good the version that serves is, by its own held-out predictions."""

import html
from collections.abc import Sequence
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from fraud.errors import FraudError
from fraud.formats import number
from fraud.models.analysis.held_out import HONEST_KINDS, HeldOut
from fraud.models.analysis.segments import errors_by, hours_of, kinds_of
from fraud.models.figures.curves import calibration_view, cost_view, precision_recall_view
from fraud.models.figures.errors import errors_view
from fraud.models.figures.interactive import figure
from fraud.models.figures.release import confusion_view, importance_view, rounds_view
from fraud.models.figures.views import Beside, View
from fraud.records import MODELS
from fraud.service import FraudService
from fraud.ui.plots import plot_data
from fraud.ui.texts import error_text, text

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_SHEETS = (
    *(f"confusion-{model}" for model in MODELS),
    "precision-recall", "cost", "typology", "hour",
    *(f"importance-{model}" for model in MODELS),
    "rounds-ap", "rounds-loss", "calibration",
)  # fmt: skip
"""Two in a row, in reading order: what it does, what that is worth, where it fails, why, how it was made."""
BELOW_COMPARISON = tuple(
    name for name in _SHEETS if not name.startswith(("confusion-", "precision-recall", "cost"))
)
"""The sheets that the moving part of the tab does not show already."""


class ModelsTab:
    """Draws itself inside the current Blocks context and wires its events.

    Nothing is read or drawn before somebody opens the tab; a version that serves already is drawn once for
    each language.
    """

    def __init__(
        self, service: FraudService, language: Any, tab: gr.Tab, sheets: Sequence[str] = _SHEETS
    ) -> None:
        self._service = service
        self._read: tuple[str, HeldOut] | None = None
        self._signature = gr.State("")
        self._lead = gr.HTML(elem_id="models-lead")
        self._sheets: dict[str, tuple[gr.Column, gr.HTML, gr.Plot]] = {}
        names = list(sheets)
        for pair in zip(names[::2], [*names[1::2], None], strict=True):
            with gr.Row(elem_classes=["halves"]):
                for name in pair:
                    if name is not None:
                        self._sheets[name] = _sheet(name)
        self._foot = gr.HTML()
        inputs = [language, self._signature]
        tab.select(self.look, inputs, self.outputs, **_QUIET)
        language.input(self.look, inputs, self.outputs, **_QUIET)

    @property
    def outputs(self) -> list[Any]:
        """Every component that the updates may change."""
        parts = [part for sheet in self._sheets.values() for part in sheet]
        return [self._signature, self._lead, self._foot, *parts]

    def look(self, language: str, signature: str) -> dict[Any, Any]:
        """Return the updates that show the version that serves; none where it is on the page already."""
        version = self._service.model_version
        wanted = f"{language} {version.manifest_digest}"
        if wanted == signature:
            return {self._signature: signature}
        try:
            held_out = self._held_out(version.manifest_digest)
        except FraudError as error:
            why = html.escape(error_text(error, self._service.profile, language))
            words = f'<p class="quiet" role="status">{text("models_missing", language, why=why)}</p>'
            return {self._signature: "", self._lead: words, self._foot: "", **self._hidden(set())}
        views = _views(held_out, language)
        updates: dict[Any, Any] = {
            self._signature: wanted,
            self._lead: _lead(held_out, version.version, language),
            self._foot: f'<p class="quiet">{text("models_alone", language)}</p>',
        }
        views = {name: view for name, view in views.items() if name in self._sheets}
        for name, view in views.items():
            column, head, plot = self._sheets[name]
            updates |= {column: gr.update(visible=True), head: _head(view), plot: _drawn(view, language)}
        return updates | self._hidden(set(views))

    def _held_out(self, digest: str) -> HeldOut:
        if self._read is None or self._read[0] != digest:
            self._read = (digest, self._service.held_out())
        return self._read[1]

    def _hidden(self, shown: set[str]) -> dict[Any, Any]:
        absent = [sheet[0] for name, sheet in self._sheets.items() if name not in shown]
        return {column: gr.update(visible=False) for column in absent}


def _views(held_out: HeldOut, language: str) -> dict[str, View]:
    views: dict[str, View] = {}
    for model in MODELS:
        views[f"confusion-{model}"] = confusion_view(held_out, model, language)
        views[f"importance-{model}"] = importance_view(held_out, model, language, 10)
    views["precision-recall"] = precision_recall_view(held_out, language)
    views["calibration"] = calibration_view(held_out, language)
    if held_out.amount is not None:
        views["cost"] = cost_view(held_out, language)
    groups = {}
    if held_out.typology is not None and set(held_out.typology) - HONEST_KINDS:
        groups["typology"] = kinds_of(held_out.typology, held_out.labels)
    if held_out.time_ms is not None:
        groups["hour"] = hours_of(held_out.time_ms)
    for by, group in groups.items():
        tables = {model: errors_by(group, held_out.labels, held_out.alerts(model)) for model in MODELS}
        views[by] = errors_view(held_out.profile, by, tables, language)
    rounds = rounds_view(held_out, language)
    if rounds is not None:
        views |= _panels(rounds)
    return views


def _panels(view: Beside) -> dict[str, View]:
    """Return both panels of the training curves as sheets: the finding over the first one."""
    return {"rounds-ap": view, "rounds-loss": view.right}


def _sheet(name: str) -> tuple[gr.Column, gr.HTML, gr.Plot]:
    with gr.Column(elem_classes=["sheet"], min_width=280, visible=False, elem_id=f"models-{name}") as column:
        head = gr.HTML()
        plot = gr.Plot(show_label=False, container=False, elem_classes=["chart"])
    return column, head, plot


def _lead(held_out: HeldOut, version: str, language: str) -> str:
    days, n = held_out.n_days, number(len(held_out), language, 0)
    key = "models_lead_undated" if days is None else "models_lead"
    said = text(key, language, version=version, n=n, days=days)
    note = str(held_out.manifest.get("note") or "")
    return f'<p>{html.escape(said)}</p><p class="quiet">{html.escape(note)}</p>' if note else f"<p>{said}</p>"


def _head(view: View) -> str:
    if isinstance(view, Beside):
        return _words(view.title, f"{view.note} \u00b7 {view.left.title}")
    return _words(view.title, view.note)


def _words(title: str, note: str) -> str:
    title = title[:1].upper() + title[1:]
    return f'<h3>{html.escape(title)}</h3><p class="quiet">{html.escape(note)}</p>'


def _drawn(view: View, language: str) -> Any:
    drawn: go.Figure = figure(view.left if isinstance(view, Beside) else view, language)
    return gr.update(value=plot_data(drawn))
