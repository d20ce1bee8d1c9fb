"""The consent to keep what is scored, beside the form, and the receipt of each prediction that is kept."""

import html
from typing import Any

import gradio as gr

from fraud.errors import FraudError, NotFound
from fraud.service import FraudService
from fraud.ui.language import Localised
from fraud.ui.texts import error_text, text


class KeepSection:
    """Draws itself inside the current Blocks context. The box stays as it was put until the page is left."""

    def __init__(self, service: FraudService, localised: Localised) -> None:
        self._service = service
        with gr.Column(elem_classes=["flag-details"]):
            self.consent = localised.make(
                gr.Checkbox,
                lambda language: {"label": text("keep", language), "info": text("keep_detail", language)},
                value=False,
                interactive=True,
                elem_id="keep-consent",
                elem_classes=["field"],
            )
        self._status = gr.HTML(elem_id="keep-status")

    @property
    def outputs(self) -> list[Any]:
        """Every component that the updates may change."""
        return [self._status]

    def fresh(self) -> dict[Any, Any]:
        """Return the updates for a prediction that is not kept."""
        return {self._status: ""}

    def keep(self, prediction_id: str, language: str) -> dict[Any, Any]:
        """Keep a prediction whose person has ticked the box; return the updates that give the receipt."""
        try:
            self._service.keep(prediction_id, consent=True)
        except FraudError as error:
            sentence = html.escape(error_text(error, self._service.profile, language))
            return {self._status: f'<div class="alert" role="alert"><p>{sentence}</p></div>'}
        return self.in_language(language, prediction_id)

    def in_language(self, language: str, prediction_id: str) -> dict[Any, Any]:
        """Return the updates that say in a language whether a prediction is kept."""
        try:
            receipt = self._service.receipt(prediction_id)
        except NotFound:
            return self.fresh()
        if receipt.withdrawn:
            return self.fresh()
        shown = f"<code>{html.escape(receipt.receipt_id)}</code>"
        return {self._status: f'<p class="quiet" role="status">{text("kept", language, receipt=shown)}</p>'}
