"""The Review tab: maintainers log in and decide, one case after the other or several at once."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from fraud.errors import FraudError
from fraud.records import Finding, Prediction
from fraud.reviewing import ReviewCase
from fraud.service import FraudService
from fraud.serving.scorer import Explanation
from fraud.ui import answers, evidence
from fraud.ui.access import Login, ReviewAccess
from fraud.ui.flagging import alert_html
from fraud.ui.language import Localised
from fraud.ui.panels import AnswerPanel, PastPanel
from fraud.ui.texts import error_text, text

QUEUE = 50
_BULK = 20
_ANONYMOUS = "maintainer"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Back to this tab, on the same origin: the Hub answers to the page that asked.
_SIGN_IN = "/login/huggingface?_target_url=%2F%3Ftab%3Dreview"
_SIGN_OUT = "/logout?_target_url=%2F%3Ftab%3Dreview"
_TO_WORD = "() => document.getElementById('review-word')?.scrollIntoView({block: 'nearest'})"


class ReviewTab:
    """Draws itself inside the current Blocks context and wires its events.

    The login is a token in a `gr.State`, which stays on the server: what a client sends in its place is
    dropped. Who signed in on the Hub is read from the signed session cookie of each request instead. A
    decision also names the case that was on the screen, so that a second click on a slow page cannot decide a
    case that nobody saw.
    """

    def __init__(
        self, service: FraudService, localised: Localised, language: Any, access: ReviewAccess
    ) -> None:
        self._service = service
        self._access = access
        self._language = language
        self._deciding = threading.Lock()
        self._token, self._shown = gr.State(""), gr.Textbox(visible=False)
        self._draw(localised)
        self._wire()

    # What is on the page

    def _draw(self, localised: Localised) -> None:
        open_to_some = self._access.possible or self._access.by_account
        key = "review_lead" if open_to_some else "review_unset"
        localised.make(
            gr.HTML,
            lambda chosen: {
                "value": f'<h2>{text("review_title", chosen)}</h2><p class="quiet">{text(key, chosen)}</p>'
            },
        )
        with gr.Column(elem_classes=["sheet", "login"], visible=open_to_some) as self._gate:
            self._draw_sign_in(localised)
            with gr.Column(visible=self._access.possible):
                self._draw_login(localised)
        with gr.Row(elem_classes=["review-bar"], visible=False) as self._bar:
            self._place = gr.HTML(elem_id="review-place")
            self._log_out = _button(localised, "review_log_out", size="sm", scale=0, min_width=100)
            self._sign_out = _button(
                localised, "review_log_out", size="sm", scale=0, min_width=100, link=_SIGN_OUT, visible=False
            )
        self._said = gr.HTML(elem_id="review-said")
        self._empty = gr.HTML(visible=False, elem_id="review-empty")
        with gr.Row(visible=False, elem_classes=["workbench"], elem_id="review-case") as self._case:
            with gr.Column(elem_classes=["entry"], min_width=280):
                self._draw_decision(localised)
                with gr.Column(elem_classes=["sheet"]):
                    self._facts = gr.HTML()
            with gr.Column(elem_classes=["results"], min_width=280):
                self._draw_evidence()
        self._draw_bulk(localised)

    def _draw_sign_in(self, localised: Localised) -> None:
        """Draw the links to the Hub and back; without reviewers there is nothing behind them."""
        possible = self._access.by_account
        if possible:
            # Its presence is how Gradio is told to serve the sign-in; what it says cannot be translated.
            gr.LoginButton(visible=False)
        self._sign_in = _button(
            localised, "review_sign_in", variant="primary", link=_SIGN_IN, visible=possible,
            elem_id="review-sign-in",
        )  # fmt: skip
        self._sign_in_other = _button(
            localised, "review_sign_in_other", link=_SIGN_OUT, visible=False, elem_id="review-sign-in-other"
        )

    def _draw_login(self, localised: Localised) -> None:
        self._name = localised.make(
            gr.Textbox,
            lambda chosen: {"label": text("review_name", chosen), "info": text("review_name_help", chosen)},
            max_lines=1,
            elem_id="review-name",
            elem_classes=["field"],
        )
        self._password = localised.make(
            gr.Textbox,
            lambda chosen: {"label": text("review_password", chosen)},
            type="password",
            max_lines=1,
            elem_id="review-password",
            elem_classes=["field"],
        )
        self._log_in = _button(localised, "review_log_in", variant="primary", elem_id="review-log-in")

    def _draw_decision(self, localised: Localised) -> None:
        with gr.Column(elem_classes=["sheet", "decide"]):
            self._word = gr.HTML()
            localised.make(
                gr.HTML, lambda chosen: {"value": f'<p class="noted">{text("review_question", chosen)}</p>'}
            )
            self._note = localised.make(
                gr.Textbox,
                lambda chosen: {
                    "label": text("review_note", chosen),
                    "placeholder": text("review_note_help", chosen),
                },
                lines=2,
                elem_id="review-note",
                elem_classes=["field"],
            )
            with gr.Row(elem_classes=["verdicts", "findings"]):
                self._buttons = {
                    finding: _button(localised, f"review_{finding}", elem_id=f"review-{finding}")
                    for finding in Finding
                }

    def _draw_evidence(self) -> None:
        self._verdict = gr.HTML()
        self._answers = AnswerPanel()
        self._past = PastPanel(self._service.profile)

    def _draw_bulk(self, localised: Localised) -> None:
        with (
            localised.make(
                gr.Accordion,
                lambda chosen: {"label": text("review_bulk", chosen)},
                open=False,
                visible=False,
                elem_id="review-bulk",
            ) as self._bulk,
            gr.Column(elem_classes=["flag-details"]),
        ):
            self._selected = localised.make(
                gr.CheckboxGroup,
                lambda chosen: {"label": text("review_bulk_cases", chosen)},
                choices=[],
                elem_id="review-selected",
                elem_classes=["field", "wide"],
            )
            self._bulk_note = localised.make(
                gr.Textbox,
                lambda chosen: {"label": text("review_bulk_note", chosen)},
                max_lines=1,
                elem_classes=["field"],
            )
            with gr.Row(elem_classes=["chips", "picks"]):
                self._bulk_buttons = {
                    finding: _button(
                        localised, f"review_bulk_{finding}", size="sm", elem_id=f"review-bulk-{finding}"
                    )
                    for finding in Finding
                }

    @property
    def outputs(self) -> list[Any]:
        """Every component that the handlers may change."""
        return [
            self._token, self._shown, self._gate, self._sign_in, self._sign_in_other, self._log_out,
            self._sign_out, self._password, self._bar, self._place, self._said,
            self._empty, self._case, self._word, self._note, self._facts, self._verdict,
            *self._answers.outputs, *self._past.outputs, self._bulk, self._selected, self._bulk_note,
        ]  # fmt: skip

    @property
    def token(self) -> gr.State:
        """The login, for tabs that share it; a token that another tab has ended may stay in it."""
        return self._token

    def follow(self, tab: gr.Tab) -> None:
        """Show, whenever this tab is opened, what a login or logout on another one has changed."""
        tab.select(self._opened, [self._language, self._token], self.outputs, **_QUIET)

    @property
    def state(self) -> list[Any]:
        """What `in_language` needs of the tab's state, in its order."""
        return [self._token]

    # What happens

    def _wire(self) -> None:
        chosen, outputs = self._language, self.outputs
        for trigger in (self._log_in.click, self._password.submit):
            trigger(self._enter, [chosen, self._name, self._password], outputs, **_QUIET)
        self._log_out.click(self._leave, [chosen, self._token], outputs, **_QUIET)
        for finding, button in self._buttons.items():
            given = [chosen, self._token, self._shown, self._note]
            decided = button.click(self._decider(finding.value), given, outputs, **_QUIET)
            decided.then(None, js=_TO_WORD)
        for finding, button in self._bulk_buttons.items():
            given = [chosen, self._token, self._selected, self._bulk_note]
            button.click(self._decider(finding.value, bulk=True), given, outputs, **_QUIET)

    def in_language(self, language: str, account: gr.OAuthProfile | None, token: str) -> dict[Any, Any]:
        """Return the updates that say the tab's present state in another language."""
        try:
            return self._present(self._access.login_of(token, account), language) | {self._said: ""}
        except FraudError:
            return self.first_view(language, account) | {self._said: ""}

    @property
    def by_account(self) -> bool:
        """Whether maintainers can come back here signed in on the Hub."""
        return self._access.by_account

    def first_view(self, language: str, account: gr.OAuthProfile | None) -> dict[Any, Any]:
        """Return the updates for who comes back from the Hub: the queue, or why it stays closed."""
        if account is None or not self._access.by_account:
            return {self._said: gr.update()}  # an empty answer is none for the page
        try:
            return self._present(self._access.login_of("", account), language)
        except FraudError as error:
            return {
                self._said: self._alert(error, language),
                self._sign_in: gr.update(visible=False),
                self._sign_in_other: gr.update(visible=True),
            }

    def _opened(self, language: str, token: str, account: gr.OAuthProfile | None = None) -> Any:
        if not token:
            return gr.skip()
        try:
            return self._present(self._access.login_of(token, account), language)
        except FraudError:
            return self._closed()

    def _enter(self, language: str, name: str, password: str, request: gr.Request) -> dict[Any, Any]:
        address = request.client.host if request.client else ""
        try:
            token = self._access.log_in(password or "", name or "", request.session_hash or "", address)
            view = self._present(self._access.login_of(token), language)
        except FraudError as error:
            return {self._said: self._alert(error, language), self._password: ""}
        return view | {self._token: token, self._password: "", self._said: ""}

    def _leave(self, language: str, token: str) -> dict[Any, Any]:
        self._access.log_out(token)
        return self._closed() | {self._said: ""}

    def _decider(self, finding: str, *, bulk: bool = False) -> Callable[..., dict[Any, Any]]:
        def decide(
            language: str, token: str, chosen: object, note: str, account: gr.OAuthProfile | None = None
        ) -> dict[Any, Any]:
            try:
                login = self._access.login_of(token, account)
            except FraudError as error:
                return self._closed() | {self._said: self._alert(error, language)}
            flag_ids = [str(one) for one in chosen] if isinstance(chosen, list) else [str(chosen or "")]
            if bulk and not flag_ids:
                return {self._said: alert_html(text("review_bulk_none", language))}
            said, kept = self._decide(login, flag_ids, finding, note or "", language)
            try:
                cleared = {self._bulk_note if bulk else self._note: ""} if kept else {}
                return self._present(login, language) | cleared | {self._said: said}
            except FraudError as error:
                return {self._said: said + self._alert(error, language)}

        return decide

    def _decide(
        self, login: Login, flag_ids: Sequence[str], finding: str, note: str, language: str
    ) -> tuple[str, int]:
        """Keep a finding on each flag that still waits; return what to say, and how many were kept."""
        kept, problem = 0, ""
        with self._deciding:
            try:
                waiting = {case.flag.flag_id for case in self._cases(login)}
                for flag_id in dict.fromkeys(flag_ids):
                    if flag_id not in waiting:
                        continue
                    self._service.review(flag_id, finding, note, login.reviewer or _ANONYMOUS)
                    kept += 1
                    if finding == Finding.UNSURE:
                        login.left.add(flag_id)
            except FraudError as error:
                problem = self._alert(error, language)
        if not kept and not problem:
            return alert_html(text("review_gone", language)), 0
        done = f'<p class="committed" role="status">{text(f"review_kept_{finding}", language, n=kept)}</p>'
        return (done if kept else "") + problem, kept

    def _cases(self, login: Login) -> list[ReviewCase]:
        cases = self._service.review_queue(QUEUE + len(login.left))
        return [case for case in cases if case.flag.flag_id not in login.left][:QUEUE]

    # What is said

    def _present(self, login: Login, language: str) -> dict[Any, Any]:
        """Return the updates that show the case to decide next, or that there is none."""
        cases = self._cases(login)
        updates: dict[Any, Any] = {
            self._gate: gr.update(visible=False),
            self._bar: gr.update(visible=True),
            self._log_out: gr.update(visible=login.account is None),
            self._sign_out: gr.update(visible=login.account is not None),
            self._place: evidence.place_html(len(cases), QUEUE, language) if cases else "",
            self._case: gr.update(visible=bool(cases)),
            self._empty: gr.update(
                value="" if cases else evidence.empty_html(len(login.left), language), visible=not cases
            ),
            self._bulk: gr.update(visible=len(cases) > 1),
            self._selected: gr.update(
                choices=[
                    (evidence.one_line(self._service.profile, case, language), case.flag.flag_id)
                    for case in cases[:_BULK]
                ],
                value=[],
            ),
            self._shown: cases[0].flag.flag_id if cases else "",
        }
        return updates | (self._present_case(cases[0], language) if cases else {})

    def _present_case(self, case: ReviewCase, language: str) -> dict[Any, Any]:
        profile, prediction = self._service.profile, case.prediction
        updates: dict[Any, Any] = {
            self._word: evidence.word_html(case, language),
            self._facts: evidence.facts_html(profile, prediction.transaction, language),
            self._verdict: answers.verdict_html(prediction, language),
        }
        updates |= self._answers.show(profile, prediction, self._reasons(prediction), language)
        return updates | self._past.show(profile, prediction.transaction, self._past_of(prediction), language)

    def _reasons(self, prediction: Prediction) -> dict[str, Explanation] | None:
        try:
            return self._service.explain(prediction)
        except FraudError:
            return None

    def _past_of(self, prediction: Prediction) -> Sequence[Mapping[str, Any]]:
        main = self._service.profile.main_entity
        if prediction.history is not None or main is None:
            return prediction.history or ()
        entity = prediction.transaction.get(main.column)
        return self._service.past_of(str(entity)) if entity else ()

    def _closed(self) -> dict[Any, Any]:
        """Return the updates that show the login again, and nothing of any case."""
        hidden = gr.update(visible=False)
        blank = [self._place, self._word, self._facts, self._verdict]
        return {
            self._token: "",
            self._shown: "",
            self._gate: gr.update(visible=True),
            self._bar: hidden,
            self._case: hidden,
            self._empty: hidden,
            self._bulk: hidden,
            self._selected: gr.update(choices=[], value=[]),
            self._note: "",
            **dict.fromkeys(blank, ""),
            **self._answers.closed(),
            **self._past.closed(),
        }

    def _alert(self, error: FraudError, language: str) -> str:
        return alert_html(error_text(error, self._service.profile, language))


def _button(localised: Localised, key: str, **fixed: Any) -> gr.Button:
    return localised.make(gr.Button, lambda chosen: {"value": text(key, chosen)}, **fixed)
