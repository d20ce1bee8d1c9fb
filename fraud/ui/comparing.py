"""The moving part of the Compare tab: both models at any cut-off, and the chosen one as a policy file."""

import html
import json
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from fraud import formats, scratch
from fraud.errors import FraudError
from fraud.models.analysis.held_out import HeldOut
from fraud.models.policy import policy_document
from fraud.records import MODELS
from fraud.service import FraudService
from fraud.ui.compare_html import compare_html
from fraud.ui.flagging import alert_html
from fraud.ui.language import Localised
from fraud.ui.texts import error_text, text

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_DRAW = "() => window.fraudCompare.draw()"
_CHOSEN = "(...given) => { given[0] = window.fraudCompare.chosen(); return given; }"


class CompareSection:
    """Draws itself inside the current Blocks context and wires its events.

    Nothing is read before somebody opens the tab. What moves does so in the browser, from tables that came
    with the page; only the policy file asks the server again.
    """

    def __init__(self, service: FraudService, localised: Localised, language: Any, tab: gr.Tab) -> None:
        self._service = service
        self._made: tuple[tuple[str, str], str] | None = None
        self._signature = gr.State("")
        self._body = gr.HTML(elem_id="compare-body")
        with gr.Column(elem_classes=["sheet"], visible=False, elem_id="compare-export") as self._export_sheet:
            localised.make(
                gr.HTML,
                lambda chosen: {
                    "value": f"<h3>{text('compare_export_title', chosen)}</h3>"
                    f'<p class="quiet">{text("compare_export_lead", chosen)}</p>'
                },
            )
            self._chosen = gr.Textbox(visible=False)
            with gr.Row(elem_classes=["verdicts", "batch-actions"]):
                make = localised.make(
                    gr.Button,
                    lambda chosen: {"value": text("compare_export", chosen)},
                    elem_id="compare-make",
                )
                self._file = localised.make(
                    gr.DownloadButton,
                    lambda chosen: {"label": text("compare_download", chosen)},
                    variant="primary",
                    visible=False,
                    elem_id="compare-download",
                )
            self._said = gr.HTML(elem_id="compare-said")
        shown = [self._signature, self._body, self._export_sheet]
        seen = [language, self._signature]
        tab.select(self.look, seen, shown, **_QUIET).then(None, None, None, js=_DRAW)
        language.input(self.look, seen, shown, **_QUIET).then(None, None, None, js=_DRAW)
        make.click(self._export, [self._chosen, language], [self._file, self._said], js=_CHOSEN, **_QUIET)

    def look(self, language: str, signature: str) -> dict[Any, Any]:
        """Return the updates that show the version that serves; none where it is on the page already."""
        wanted = f"{language} {self._service.model_version.manifest_digest}"
        if wanted == signature:
            return {self._signature: signature}
        try:
            markup = self._markup(self._service.held_out(), language)
        except FraudError as error:
            why = html.escape(error_text(error, self._service.profile, language))
            return {
                self._signature: "",
                self._body: f'<p class="quiet" role="status">{text("models_missing", language, why=why)}</p>',
                self._export_sheet: gr.update(visible=False),
            }
        return {self._signature: wanted, self._body: markup, self._export_sheet: gr.update(visible=True)}

    def _markup(self, held_out: HeldOut, language: str) -> str:
        models = self._service.scorer().bundle.models
        return compare_html(held_out, {name: models[name].thresholds.review for name in MODELS}, language)

    def _export(self, chosen: str, language: str) -> dict[Any, Any]:
        try:
            review = {name: float(json.loads(chosen)[name]) for name in MODELS}
        except (ValueError, TypeError, KeyError):
            review = {}
        if not review or not all(0 < cut <= 1 for cut in review.values()):
            return {self._said: alert_html(text("compare_export_refused", language))}
        try:
            version, held_out = self._service.model_version, self._service.held_out()
        except FraudError as error:
            return {self._said: alert_html(error_text(error, self._service.profile, language))}
        now = datetime.now(UTC).replace(microsecond=0).isoformat()
        document = policy_document(held_out, version, review, now)
        path = scratch.new_file("policy.json")
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        said = "".join(f"<p>{_expected(document, name, language)}</p>" for name in MODELS)
        return {
            self._file: gr.update(value=str(path), visible=True),
            self._said: f'<div class="receipt" role="status">{said}</div>',
        }


def _expected(document: dict[str, Any], model: str, language: str) -> str:
    found = document["expected"][model]
    shares = {
        f"{metric}{end}": formats.percentage(found[metric][key] or 0.0, language)
        for metric in ("recall", "precision")
        for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    cut = formats.percentage(document["thresholds"][model]["review"], language)
    return text("compare_expected", language, model=text(f"model_{model}", language), cut=cut, **shares)
