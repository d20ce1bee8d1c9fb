"""The Monitoring tab: the state at a glance, and the figures that it rests on."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import gradio as gr
import plotly.graph_objects as go

from fraud.errors import FraudError
from fraud.models.report import MODEL_TITLES
from fraud.monitoring import figures
from fraud.monitoring.history import MonitoringRecord
from fraud.monitoring.words import column_name
from fraud.service import FraudService
from fraud.ui import monitoring_html as words
from fraud.ui.language import Localised
from fraud.ui.plots import plot_data
from fraud.ui.texts import error_text, text

_POLL_SECONDS = 10.0
_PLAYED_DAYS = 60
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class MonitoringTab:
    """Draws itself inside the current Blocks context and wires its events.

    Nothing is read or drawn before somebody opens the tab. From then on it asks now and then whether a run
    has left another report; what is on the page is named by a signature, which stays on the server.
    """

    def __init__(self, service: FraudService, localised: Localised, language: Any, tab: gr.Tab) -> None:
        self._service = service
        self._language = language
        self._signature = gr.State("")
        self._draw(localised)
        self._wire(tab)

    def _draw(self, localised: Localised) -> None:
        self._lead = gr.HTML(elem_id="monitoring-lead")
        self._glance = gr.HTML(elem_id="monitoring-glance")
        with gr.Column(visible=False, elem_id="monitoring-body", elem_classes=["monitoring"]) as self._body:
            self._tiles = gr.HTML()
            with gr.Column(elem_classes=["sheet"]):
                self._f1_head, self._f1 = gr.HTML(), _plot("monitoring-f1")
                self._f1_legend = gr.HTML()
            with gr.Column(elem_classes=["sheet"], elem_id="monitoring-figures"):
                self._figures = gr.HTML()
            with gr.Row(elem_classes=["halves"]):
                with gr.Column(elem_classes=["sheet"], min_width=280):
                    self._drift_head, self._drift = gr.HTML(), _plot("monitoring-drift")
                    self._drift_table = gr.HTML()
                with gr.Column(elem_classes=["sheet"], min_width=280) as self._curve_sheet:
                    self._draw_curve(localised)
            with gr.Row(elem_classes=["halves"]):
                self._reliability: dict[str, tuple[gr.HTML, gr.Plot, gr.HTML]] = {}
                for model in MODEL_TITLES:
                    with gr.Column(elem_classes=["sheet"], min_width=280):
                        head, plot = gr.HTML(), _plot(f"monitoring-calibration-{model}")
                        self._reliability[model] = (head, plot, gr.HTML())
            with gr.Column(elem_classes=["sheet"], elem_id="monitoring-segments"):
                self._segments = gr.HTML()
            with gr.Row(elem_classes=["halves"]):
                with gr.Column(elem_classes=["sheet"], min_width=280):
                    self._latency_head, self._latency = gr.HTML(), _plot("monitoring-latency")
                with gr.Column(elem_classes=["sheet"], min_width=280):
                    self._basis = gr.HTML()
        self._timer = gr.Timer(_POLL_SECONDS, active=False)

    def _draw_curve(self, localised: Localised) -> None:
        self._column = localised.make(
            gr.Dropdown,
            lambda chosen: {"label": text("curve_choose", chosen), "info": text("curve_help", chosen)},
            choices=[],
            elem_id="monitoring-column",
            elem_classes=["field"],
            interactive=True,
        )
        self._curve = _plot("monitoring-curve")
        self._curve_legend = gr.HTML()

    @property
    def outputs(self) -> list[Any]:
        """Every component that the updates may change."""
        calibration = [part for parts in self._reliability.values() for part in parts]
        return [
            self._signature, self._lead, self._glance, self._body, self._tiles, self._f1_head, self._f1,
            self._f1_legend, self._figures, self._drift_head, self._drift, self._drift_table,
            self._curve_sheet, self._column, self._curve, self._curve_legend, *calibration, self._segments,
            self._latency_head, self._latency, self._basis, self._timer,
        ]  # fmt: skip

    def _wire(self, tab: gr.Tab) -> None:
        inputs = [self._language, self._signature, self._column]
        tab.select(self.look, inputs, self.outputs, **_QUIET)
        self._timer.tick(self.look, inputs, self.outputs, **_QUIET)
        self._language.input(self.look, inputs, self.outputs, **_QUIET)
        self._column.input(self._choose, [self._language, self._column], [self._curve], **_QUIET)

    def look(self, language: str, signature: str, column: object) -> dict[Any, Any]:
        """Return the updates that show the newest report; none of them where it is on the page already."""
        try:
            record = self._service.monitoring()
        except FraudError as error:
            sentence = error_text(error, self._service.profile, language)
            return self._say(words.unreadable_html(sentence, language), sentence, language, signature)
        if record is None:
            empty = words.empty_html(language, self._played_until())
            return self._say(empty, "", language, signature)
        serving = self._service.model_version.version
        wanted = f"{language} {serving} {record.signature}"
        if wanted == signature:
            return {self._timer: gr.update(active=True)}
        return {self._signature: wanted} | self._show(record, serving, language, column)

    def _say(self, page: str, about: str, language: str, signature: str) -> dict[Any, Any]:
        wanted = f"{language} {about}"
        if wanted == signature:
            return {self._timer: gr.update(active=True)}
        return {
            self._signature: wanted,
            self._lead: words.lead_html(None, language),
            self._glance: page,
            self._body: gr.update(visible=False),
            self._timer: gr.update(active=True),
        }

    def _played_until(self) -> str:
        """Return the end of a simulated production of two months; "" where the data have no end."""
        last_at = self._service.manifest["windows"]["test"].get("last_at")
        if last_at is None:
            return ""
        until = datetime.fromisoformat(str(last_at)) + timedelta(days=_PLAYED_DAYS)
        return f"{until:%Y-%m-%d}T00:00Z"

    def _show(self, record: MonitoringRecord, serving: str, language: str, column: object) -> dict[Any, Any]:
        report, profile = record.report, self._service.profile
        updates: dict[Any, Any] = {
            self._lead: words.lead_html(record, language),
            self._glance: words.glance_html(record, profile, serving, language),
            self._body: gr.update(visible=True),
            self._timer: gr.update(active=True),
            self._tiles: words.tiles_html(report, language),
            self._figures: words.figures_html(report, language),
            self._drift_head: words.drift_html(report, profile, language),
            self._drift: _drawn(figures.drift_ranking(report, profile, language)),
            self._drift_table: words.drift_table_html(report, profile, language),
            self._segments: words.segments_html(report, profile, language),
            self._latency_head: words.latency_html(report, language),
            self._latency: _drawn(figures.latency_over_time(record.runs, language)),
            self._basis: words.basis_html(report, language),
        }
        f1 = figures.f1_over_time(record.runs, report["held_out_f1"], language)
        updates[self._f1_head] = words.judgements_html(report, language)
        updates[self._f1] = _drawn(f1)
        updates[self._f1_legend] = words.f1_legend_html(language) if f1 else _quiet("f1_none", language)
        return (
            updates | self._show_curves(report, language, column) | self._show_calibration(report, language)
        )

    def _show_curves(self, report: Mapping[str, Any], language: str, column: object) -> dict[Any, Any]:
        names = [curve["name"] for curve in report["curves"]]
        chosen = column if column in names else next(iter(names), None)
        choices = [(column_name(name, self._service.profile, language), name) for name in names]
        return {
            self._curve_sheet: gr.update(visible=bool(names)),
            self._column: gr.update(choices=choices, value=chosen),
            self._curve: self._curve_of(report, chosen, language),
            self._curve_legend: words.curve_legend_html(language),
        }

    def _choose(self, language: str, column: object) -> Any:
        """Return the update that draws another column's distributions."""
        try:
            record = self._service.monitoring()
        except FraudError:
            return gr.skip()  # the next tick says it
        return gr.skip() if record is None else self._curve_of(record.report, column, language)

    def _curve_of(self, report: Mapping[str, Any], column: object, language: str) -> Any:
        curve = next((curve for curve in report["curves"] if curve["name"] == column), None)
        if curve is None:
            return _drawn(None)
        return _drawn(figures.before_and_now(curve, self._service.profile, language))

    def _show_calibration(self, report: Mapping[str, Any], language: str) -> dict[Any, Any]:
        updates: dict[Any, Any] = {}
        for model, (head, plot, table) in self._reliability.items():
            bands = report["calibration"].get(model, {"bins": []})["bins"]
            updates[head] = words.calibration_html(bands, model, language)
            updates[plot] = _drawn(figures.reliability(bands, model, language))
            updates[table] = words.calibration_table_html(bands, language)
        return updates


def _plot(elem_id: str) -> gr.Plot:
    return gr.Plot(show_label=False, container=False, visible=False, elem_id=elem_id, elem_classes=["chart"])


def _drawn(figure: go.Figure | None) -> Any:
    """Return the update that draws a figure as this page does: its legend is HTML, which wraps."""
    if figure is None:
        return gr.update(value=None, visible=False)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(automargin=True, title_standoff=6)
    return gr.update(value=plot_data(figure), visible=True)


def _quiet(key: str, language: str) -> str:
    return f'<p class="quiet">{text(key, language)}</p>'
