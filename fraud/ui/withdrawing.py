"""The button "Withdraw my data" for the receipt just given, and a field for an older one."""

import contextlib
import html
from typing import Any

import gradio as gr

from fraud.errors import FraudError, NotFound
from fraud.service import FraudService
from fraud.ui.language import Localised, Words
from fraud.ui.receipts import receipt_html
from fraud.ui.texts import error_text, text

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class WithdrawSection:
    """Draws itself inside the current Blocks context; `offer` shows it below a receipt."""

    def __init__(
        self,
        service: FraudService,
        localised: Localised,
        language: Any,
        receipt_id: gr.State,
        prediction_id: gr.components.Component,
    ) -> None:
        self._service = service
        self._draw(localised)
        self._wire(language, receipt_id, prediction_id)

    def _draw(self, localised: Localised) -> None:
        make = localised.make
        self._ask = make(
            gr.Button,
            lambda language: {"value": text("withdraw", language)},
            size="sm",
            visible=False,
            elem_id="withdraw",
            elem_classes=["narrow"],
        )
        with gr.Column(visible=False, elem_classes=["flag-details"]) as self._sure:
            make(gr.HTML, lambda language: {"value": f"<p>{text('withdraw_sure', language)}</p>"})
            with gr.Row(elem_classes=["verdicts"]):
                self._yes = make(
                    gr.Button,
                    lambda language: {"value": text("withdraw_yes", language)},
                    elem_id="withdraw-yes",
                )
                self._no = make(
                    gr.Button,
                    lambda language: {"value": text("withdraw_no", language)},
                    elem_id="withdraw-no",
                )
        self._said = gr.HTML(elem_id="withdrawn")
        with (
            make(
                gr.Accordion,
                lambda language: {"label": text("withdraw_earlier", language)},
                open=False,
                elem_classes=["aside"],
            ),
            gr.Column(elem_classes=["flag-details"]),
        ):
            self._earlier = make(
                gr.Textbox,
                lambda language: {
                    "label": text("withdraw_receipt", language),
                    "placeholder": text("withdraw_receipt_help", language),
                },
                max_lines=1,
                elem_id="withdraw-receipt",
                elem_classes=["field"],
            )
            with gr.Row(elem_classes=["chips", "picks"]):
                self._trace = make(
                    gr.Button, _worded("trace_send"), size="sm", elem_id="trace-send", elem_classes=["narrow"]
                )
                self._send = make(
                    gr.Button,
                    _worded("withdraw_send"),
                    size="sm",
                    elem_id="withdraw-send",
                    elem_classes=["narrow"],
                )
            self._earlier_said = gr.HTML(elem_id="withdrawn-earlier")

    @property
    def outputs(self) -> list[Any]:
        """Every component that `offer`, `fresh` and the handlers may change."""
        return [self._ask, self._sure, self._said, self._earlier, self._earlier_said]

    def fresh(self) -> dict[Any, Any]:
        """Return the updates for a page without a receipt."""
        return {self._ask: gr.update(visible=False), self._sure: gr.update(visible=False), self._said: ""}

    def offer(self) -> dict[Any, Any]:
        """Return the updates that offer to withdraw the receipt just given."""
        return self.fresh() | {self._ask: gr.update(visible=True)}

    def in_language(self, language: str, receipt_id: str) -> dict[Any, Any]:
        """Return the updates that say in another language what was done."""
        try:
            withdrawn = bool(receipt_id) and self._service.receipt(receipt_id).withdrawn
        except FraudError:
            withdrawn = False
        said = withdrawn_html(receipt_id, language) if withdrawn else ""
        return {self._said: said, self._earlier_said: ""}

    def _wire(self, language: Any, receipt_id: gr.State, prediction_id: gr.components.Component) -> None:
        outputs = self.outputs
        self._ask.click(self._make_sure, None, outputs, **_QUIET)
        self._no.click(self.offer, None, outputs, **_QUIET)
        self._yes.click(self._withdraw, [language, receipt_id, prediction_id], outputs, **_QUIET)
        earlier = [language, self._earlier]
        self._send.click(self._withdraw_earlier, earlier, outputs, **_QUIET)
        for trigger in (self._trace.click, self._earlier.submit):
            trigger(self._trace_earlier, earlier, outputs, **_QUIET)

    def _make_sure(self) -> dict[Any, Any]:
        return {self._ask: gr.update(visible=False), self._sure: gr.update(visible=True)}

    def _withdraw(self, language: str, receipt_id: str, prediction_id: str) -> dict[Any, Any]:
        """Withdraw the answer, and the prediction too if it was kept: who says "my data" means both."""
        try:
            self._service.withdraw(receipt_id)
            with contextlib.suppress(NotFound):
                self._service.withdraw(prediction_id)
        except FraudError as error:
            return self.offer() | {self._said: self._alert(error, language)}
        return self.fresh() | {self._said: withdrawn_html(receipt_id, language)}

    def _withdraw_earlier(self, language: str, typed: str, request: gr.Request) -> dict[Any, Any]:
        receipt_id = (typed or "").strip()[:200]
        try:
            self._service.withdraw(receipt_id, address_of(request))
        except FraudError as error:
            return {self._earlier_said: self._alert(error, language)}
        return {self._earlier_said: withdrawn_html(receipt_id, language), self._earlier: ""}

    def _trace_earlier(self, language: str, typed: str) -> dict[Any, Any]:
        try:
            found = self._service.whereabouts((typed or "").strip()[:200])
        except FraudError as error:
            return {self._earlier_said: self._alert(error, language)}
        return {self._earlier_said: receipt_html(found, language)}

    def _alert(self, error: FraudError, language: str) -> str:
        if isinstance(error, NotFound):
            sentence = text("withdraw_unknown", language)
        else:
            sentence = error_text(error, self._service.profile, language)
        return f'<div class="alert" role="alert"><p>{html.escape(sentence)}</p></div>'


def address_of(request: gr.Request) -> str:
    """Return the network address that a request came from; "" where it has none."""
    return request.client.host if request.client else ""


def _worded(key: str) -> Words:
    return lambda language: {"value": text(key, language)}


def withdrawn_html(receipt_id: str, language: str) -> str:
    """Return the sentence that confirms a withdrawal."""
    words = text("withdrawn", language, receipt=f"<code>{html.escape(receipt_id)}</code>")
    return f'<div class="receipt" role="status"><p>{words}</p></div>'
