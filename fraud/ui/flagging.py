"""Gradio's flagging interface over the service, and "Was this right?": the part of the page that uses it."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from fraud.errors import FraudError, NotFound
from fraud.records import Decision, Label, Prediction, Receipt, Verdict
from fraud.service import FraudService
from fraud.tracing import Whereabouts
from fraud.ui.answer_fields import answer_fields
from fraud.ui.backlog import backlog_html
from fraud.ui.language import Localised
from fraud.ui.memory import Recalled, keep_flag
from fraud.ui.receipts import receipt_html
from fraud.ui.texts import error_text, text
from fraud.ui.withdrawing import WithdrawSection, address_of

_POLL_SECONDS = 1.0


class ServiceFlagging(gr.FlaggingCallback):
    """Gradio's flagging interface, keeping flags through the service: consented, durable, versioned.

    `flag_data` is [prediction id, label, comment, consent] and may go on with whether the question of the
    audit lot is answered; `flag_option` the verdict; `username` anything
    that tells people apart, of which only a keyed hash is kept.
    """

    def __init__(self, service: FraudService) -> None:
        self._service = service
        self._n_flags = 0

    def setup(self, components: Sequence[Any], flagging_dir: str | Path = "") -> None:
        """Accept the components that will be flagged; nothing is written to `flagging_dir`."""

    def flag(self, flag_data: list[Any], flag_option: str | None = None, username: str | None = None) -> int:
        """Keep one flag and return how many this process has kept; FraudError if it was refused."""
        self.submit(flag_data, flag_option, username)
        return self._n_flags

    def submit(
        self,
        flag_data: Sequence[Any],
        flag_option: str | None,
        username: str | None = None,
        address: str = "",
    ) -> Receipt:
        """Keep one flag and return its receipt; `address` is counted for a while and never kept.

        Raises
        ------
        FraudError
            The service refused it; nothing was kept.
        """
        prediction_id, label, comment, consent, *rest = flag_data
        receipt = self._service.flag(
            str(prediction_id or ""),
            flag_option or "",
            label=label,
            comment=comment or "",
            consent=consent is True,
            session=username or "",
            address=address,
            answers_audit=rest == [True],
        )
        self._n_flags += 1
        return receipt


def implied_label(prediction: Prediction, verdict: str) -> Label | None:
    """Return what a verdict says of the transaction; None where the models' alerts differ."""
    alerts = {score.decision is not Decision.APPROVE for score in prediction.scores.values()}
    if len(alerts) != 1:
        return None
    return Label.FRAUD if alerts.pop() == (verdict == Verdict.RIGHT) else Label.LEGITIMATE


class FlagSection:
    """Draws itself inside the current Blocks context; `fresh` prepares it for a new prediction."""

    def __init__(
        self,
        service: FraudService,
        localised: Localised,
        language: gr.components.Component,
        prediction_id: gr.components.Component,
        own: Callable[[str], Prediction] | None = None,
    ) -> None:
        self._service = service
        self._own = own or service.prediction
        self._callback = ServiceFlagging(service)
        self._prediction_id = prediction_id
        self._verdict, self.receipt_id = gr.State(""), gr.State("")
        self._asked = gr.State(False)  # whether the page put the question of the audit lot
        self._draw(localised, language)
        self._wire(language, prediction_id)

    def _draw(self, localised: Localised, language: Any) -> None:
        make = localised.make
        with gr.Column(elem_classes=["flag", "sheet"], elem_id="flag") as self._section:
            make(
                gr.HTML,
                lambda language: {
                    "value": f"<h3>{text('right_question', language)}</h3>"
                    f'<p class="quiet">{text("right_lead", language)}</p>'
                },
            )
            self._audit = make(
                gr.HTML,
                lambda language: {"value": f'<p class="noted">{text("audit_asked", language)}</p>'},
                visible=False,
                elem_id="flag-audit",
            )
            self._backlog = gr.HTML(elem_id="flag-backlog")
            with gr.Row(elem_classes=["verdicts"]) as self._buttons:
                self._right = make(
                    gr.Button, lambda language: {"value": text("right", language)}, elem_id="flag-right"
                )
                self._wrong = make(
                    gr.Button, lambda language: {"value": text("wrong", language)}, elem_id="flag-wrong"
                )
            with gr.Column(visible=False, elem_classes=["flag-details"]) as self._details:
                self._noted = gr.HTML(visible=False)
                self._label, self._comment, self._consent = answer_fields(make, "flag-consent")
                self._send = make(
                    gr.Button,
                    lambda language: {"value": text("send", language)},
                    variant="primary",
                    elem_id="flag-send",
                )
            self.status = gr.HTML(elem_id="flag-status")
            self._withdraw = WithdrawSection(
                self._service, localised, language, self.receipt_id, self._prediction_id
            )
        self._timer = gr.Timer(_POLL_SECONDS, active=False)

    @property
    def outputs(self) -> list[Any]:
        """Every component that `fresh` and the handlers may change."""
        return [
            self._audit, self._asked, self._backlog, self._verdict, self.receipt_id, self._buttons,
            self._right, self._wrong, self._details, self._noted, self._label, self._comment, self._consent,
            self.status, self._timer, *self._withdraw.outputs,
        ]  # fmt: skip

    def fresh(self, language: str, *, audit_asked: bool = False) -> dict[Any, Any]:
        """Return the updates that ask about a new prediction, and say so if the lot fell on it."""
        return self.asked(audit_asked, language) | {
            self._verdict: "",
            self.receipt_id: "",
            self._buttons: gr.update(visible=True),
            self._right: gr.update(variant="secondary"),
            self._wrong: gr.update(variant="secondary"),
            self._details: gr.update(visible=False),
            self._label: gr.update(value=None),
            self._comment: gr.update(value=""),
            self._consent: gr.update(value=False),
            self.status: "",
            self._timer: gr.Timer(active=False),
            **self._withdraw.fresh(),
        }

    def asked(self, audit_asked: bool, language: str) -> dict[Any, Any]:
        """Return the updates that say what asks for an answer, and change nothing of one that was begun."""
        waits = backlog_html(self._service, language)
        return {self._audit: gr.update(visible=audit_asked), self._asked: audit_asked, self._backlog: waits}

    def recall(self, recalled: Recalled, prediction_id: str, language: str) -> dict[Any, Any]:
        """Return the updates that put back an answer begun before a reload; the consent is asked anew."""
        if not recalled.verdict or not prediction_id:
            return {}
        chosen: dict[Any, Any] = self._chooser(recalled.verdict)(language, prediction_id)
        if recalled.label is not None and self._label in chosen:
            chosen[self._label] = chosen[self._label] | {"value": recalled.label}
        return chosen | {self._comment: recalled.comment}

    def in_language(self, language: str, receipt_id: str, verdict: str, label: str | None) -> dict[Any, Any]:
        """Return the updates that say the section's state in another language."""
        noted = {self._noted: self._noted_html(label, language)} if verdict and label else {}
        said = self._withdraw.in_language(language, receipt_id)
        said |= {self._backlog: backlog_html(self._service, language)}
        return noted | said | (self._poll(language, receipt_id) if receipt_id else {self.status: ""})

    @property
    def state(self) -> list[Any]:
        """What `in_language` needs of the section's state, in its order."""
        return [self.receipt_id, self._verdict, self._label]

    def _wire(self, language: Any, prediction_id: gr.components.Component) -> None:
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        for button, verdict in ((self._right, Verdict.RIGHT), (self._wrong, Verdict.WRONG)):
            chosen = [*self.outputs, prediction_id]
            button.click(self._chooser(verdict.value), [language, prediction_id], chosen, **quiet)
            button.click(None, js=keep_flag(verdict=verdict.value))
        self._label.input(None, self._label, js=keep_flag("label"))
        self._comment.change(None, self._comment, js=keep_flag("comment"))
        self._send.click(
            self._submit,
            [
                language,
                self.receipt_id,
                self._verdict,
                prediction_id,
                self._label,
                self._comment,
                self._consent,
                self._asked,
            ],
            self.outputs,
            **quiet,
        )
        self._timer.tick(
            self._poll, [language, self.receipt_id], [self.status, self._timer, self._backlog], **quiet
        )

    def _chooser(self, verdict: str) -> Any:
        def choose(language: str, prediction_id: str) -> dict[Any, Any]:
            try:
                prediction = self._own(prediction_id)
                implied = implied_label(prediction, verdict)
            except FraudError as error:
                return {self.status: self._alert(error, language)}
            settled = verdict == Verdict.RIGHT and implied is not None
            return {
                self._prediction_id: prediction.prediction_id,
                self._verdict: verdict,
                self._right: gr.update(variant="primary" if verdict == Verdict.RIGHT else "secondary"),
                self._wrong: gr.update(variant="primary" if verdict == Verdict.WRONG else "secondary"),
                self._details: gr.update(visible=True),
                self._label: gr.update(value=None if implied is None else implied.value, visible=not settled),
                self._noted: gr.update(
                    value=self._noted_html(implied, language) if implied else "", visible=settled
                ),
                self.status: "",
            }

        return choose

    def _submit(
        self,
        language: str,
        receipt_id: str,
        verdict: str,
        prediction_id: str,
        label: str | None,
        comment: str,
        consent: bool,
        asked: bool,
        request: gr.Request,
    ) -> dict[Any, Any]:
        if receipt_id:  # a second click on a slow page: the answer is already in
            return self._poll(language, receipt_id)
        try:
            session = request.session_hash or ""
            address = address_of(request)
            answer = [prediction_id, label, comment, consent, asked]
            receipt = self._callback.submit(answer, verdict, session, address)
        except FraudError as error:
            waits = backlog_html(self._service, language)
            return {self.status: self._alert(error, language), self._backlog: waits}
        return {
            self.receipt_id: receipt.receipt_id,
            self._audit: gr.update(visible=False),
            self._buttons: gr.update(visible=False),
            self._details: gr.update(visible=False),
            self.status: receipt_html(Whereabouts(receipt), language),
            self._timer: gr.Timer(active=not receipt.committed),
            **self._withdraw.offer(),
        }

    def _poll(self, language: str, receipt_id: str) -> dict[Any, Any]:
        try:
            found = self._service.whereabouts(receipt_id)
        except NotFound as error:
            return {self.status: self._alert(error, language), self._timer: gr.Timer(active=False)}
        except FraudError:
            return {self._timer: gr.Timer(active=True)}  # the flag is safe; only its state is unreadable now
        if found.receipt.withdrawn:  # the section below says so
            return {self.status: "", self._timer: gr.Timer(active=False)}
        waits = {self._backlog: backlog_html(self._service, language)}
        if not found.receipt.committed:
            return waits | {self._timer: gr.Timer(active=True)}
        return waits | {self.status: receipt_html(found, language), self._timer: gr.Timer(active=False)}

    def _alert(self, error: FraudError, language: str) -> str:
        return alert_html(error_text(error, self._service.profile, language))

    @staticmethod
    def _noted_html(label: str | None, language: str) -> str:
        return f'<p class="noted">{text(f"noted_{label}", language)}</p>'


def alert_html(*sentences: str) -> str:
    """Return sentences that screen readers announce at once."""
    body = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    return f'<div class="alert" role="alert">{body}</div>'
