"""The Score tab: one transaction in, both models' answers with their reasons out, and "was this right?"."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import gradio as gr

from fraud.errors import FraudError, NotFound, TransactionError
from fraud.records import Prediction
from fraud.service import FraudService
from fraud.ui import answers
from fraud.ui.flagging import FlagSection, alert_html
from fraud.ui.form import TransactionForm, moment_of, time_value
from fraud.ui.keeping import KeepSection
from fraud.ui.language import Localised
from fraud.ui.memory import Recalled, keep_typed
from fraud.ui.panels import AnswerPanel, PastPanel
from fraud.ui.programs import Programs
from fraud.ui.texts import error_text, kind_name, text
from fraud.ui.tour import Tour
from fraud.ui.what_if import WhatIfSection

_NEXT_PURCHASE = timedelta(hours=1)
_MAX_SENTENCES = 5
_SHOW_ANSWER = """() => {
  const verdict = document.getElementById("verdict"), top = verdict.getBoundingClientRect().top;
  const refused = document.querySelector("#form-alert .alert");
  if (refused) refused.scrollIntoView({block: "nearest"});
  else if (top < 0 || top > innerHeight) verdict.scrollIntoView();
}"""
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class ScoreTab:
    """Draws itself inside the current Blocks context and wires its events."""

    def __init__(self, service: FraudService, localised: Localised, language: Any) -> None:
        self._service = service
        self._localised = localised
        self._language = language
        self._examples = service.examples()
        kinds = [example["kind"] for example in self._examples]
        self._first = next((i for i, kind in enumerate(kinds) if kind != "legitimate"), 0)
        # On the page, not in the session: after a restart of the server it must not name another prediction.
        self._prediction_id = gr.Textbox("", visible=False)
        self._shared: set[str] = set()
        self._draw()
        self._wire()

    # What is on the page

    def _draw(self) -> None:
        self._chips = self._draw_examples()
        Tour(self._localised, self._tour)
        with gr.Row(elem_classes=["workbench"]):
            with gr.Column(elem_classes=["entry"], min_width=280):
                with gr.Column(elem_classes=["sheet"]):
                    self._draw_entry()
                self._past = PastPanel(self._service.profile)
            with gr.Column(elem_classes=["results"], elem_id="results", min_width=280):
                self._draw_results()
                self._flag = FlagSection(
                    self._service, self._localised, self._language, self._prediction_id, self.own
                )
                self._what_if = WhatIfSection(self._service, self._localised)
                Programs(self._service, self._localised)

    def _draw_entry(self) -> None:
        make = self._localised.make
        make(gr.HTML, lambda language: {"value": f"<h2>{text('transaction', language)}</h2>"})
        self._form = TransactionForm(self._service, self._localised)
        self._alert = gr.HTML(elem_id="form-alert")
        self._button = make(
            gr.Button,
            lambda language: {"value": text("score", language)},
            variant="primary",
            elem_id="score",
        )
        self._keep = KeepSection(self._service, self._localised)

    def _draw_examples(self) -> list[gr.Button]:
        make, chips = self._localised.make, []
        with gr.Row(elem_classes=["chips"], elem_id="examples"):
            make(
                gr.HTML,
                lambda language: {"value": f'<span class="quiet">{text("examples", language)}</span>'},
            )
            for number, example in enumerate(self._examples):
                kind = str(example["kind"])
                words = _worded(lambda language, kind=kind: {"value": kind_name(kind, language)})
                chips.append(make(gr.Button, words, size="sm", elem_id=f"example-{number}"))
            chips.append(
                make(
                    gr.Button,
                    lambda language: {"value": text("from_scratch", language)},
                    size="sm",
                    elem_id="from-scratch",
                )
            )
            self._tour = make(
                gr.Button,
                lambda language: {"value": text("tour_start", language)},
                size="sm",
                elem_id="tour-start",
            )
        return chips

    def _draw_results(self) -> None:
        self._verdict = gr.HTML(elem_id="verdict")
        self._answers = AnswerPanel("answer")

    @property
    def outputs(self) -> list[Any]:
        """Every component that the handlers may change."""
        return [
            self._prediction_id, self._alert, self._verdict, *self._answers.outputs, *self._past.outputs,
            *self._chips, *self._form.components, *([self._form.more] if self._form.more else []),
            *self._flag.outputs, *self._keep.outputs, *self._what_if.outputs,
        ]  # fmt: skip

    # What happens

    def _wire(self) -> None:
        typed = [self._language, self._what_if.field, *self._form.components]
        kept = [self._language, self._keep.consent, self._what_if.field, *self._form.components]
        scored = self._button.click(self._score_and_keep, kept, self.outputs, **_QUIET)
        scored.then(None, js=_SHOW_ANSWER)
        script = keep_typed(self._form.columns)
        moved = [self._language, self._what_if.field, self._prediction_id]
        self._what_if.field.input(self._move, moved, self.outputs, **_QUIET)
        keep: dict[str, Any] = {"fn": None, "inputs": self._form.components, "js": script}
        gr.on([component.input for component in self._form.components], **keep)
        for component in self._form.components:
            if isinstance(component, gr.Textbox | gr.Number):
                component.submit(self._score_and_keep, kept, self.outputs, **_QUIET)
        if self._form.entity is not None:
            self._form.entity.component.input(self._choose_entity, typed, self.outputs, **_QUIET).then(**keep)
        for number, chip in enumerate(self._chips[:-1]):
            chip.click(_example_handler(self, number), typed[:2], self.outputs, **_QUIET).then(**keep)
        self._chips[-1].click(self._from_scratch, typed[:2], self.outputs, **_QUIET).then(**keep)

    @property
    def state(self) -> list[Any]:
        """What `in_language` needs of the tab's state, in its order."""
        return [self._prediction_id, self._what_if.field, *self._flag.state]

    def first_view(self, language: str) -> dict[Any, Any]:
        """Return the updates that show a worked example: the first fraud, or the first there is."""
        if not self._examples:
            return self._from_scratch(language)
        updates = self.show_example(self._first, language)
        self._shared.add(updates[self._prediction_id])
        return updates | self._flag.asked(False, language)  # the lot falls on people, not on this view

    def _move(self, language: str, moved: str | None, prediction_id: str) -> dict[Any, Any]:
        try:
            return self._what_if.show(self._service.prediction(prediction_id), moved, language)
        except FraudError as error:
            return self._refuse(error, language)

    def own(self, prediction_id: str) -> Prediction:
        """Return a prediction to be answered; of the first view, which many see, a new one of the same.

        Raises
        ------
        NotFound
            It is no longer known here.
        """
        if prediction_id not in self._shared:
            return self._service.prediction(prediction_id)
        return self._service.score(self._form.known(self._examples[self._first]["transaction"]))

    def recall(self, recalled: Recalled, language: str) -> dict[Any, Any]:
        """Return the updates that put back what was typed before a reload; none if nothing was."""
        if not recalled.typed:
            return {}
        values = self._form.recalled(recalled.typed)
        updates = dict(zip(self._form.components, values, strict=True)) | self._score_typed(
            language, None, *values
        )
        words = text("recalled", language)
        updates[self._alert] += f'<p class="quiet" role="status">{words}</p>'
        return updates | self._flag.recall(recalled, updates.get(self._prediction_id, ""), language)

    def in_language(
        self, language: str, prediction_id: str, moved: str | None, *flag_state: Any
    ) -> dict[Any, Any]:
        """Return the updates that say the tab's present state in another language."""
        updates = self._flag.in_language(language, *flag_state) | {self._alert: ""}
        updates |= self._keep.in_language(language, prediction_id)
        try:
            return updates | self._present(self._service.prediction(prediction_id), language, moved)
        except NotFound:  # nothing scored yet, or by a version that no longer serves
            return updates

    def show_example(self, number: int, language: str, moved: str | None = None) -> dict[Any, Any]:
        """Return the updates that fill in an example and score it."""
        transaction = self._examples[number]["transaction"]
        return (
            self._form.fill(transaction)
            | self._score(self._form.known(transaction), language, moved)
            | self._press(number)
        )

    def _from_scratch(self, language: str, moved: str | None = None) -> dict[Any, Any]:
        blank = self._form.blank()
        updates = self._form.fill(blank) | self._press(len(self._chips) - 1)
        scored = self._score(self._form.known(blank), language, moved)
        return updates | scored | {self._alert: ""}  # nothing typed yet, so nothing to complain about

    def _score_typed(self, language: str, moved: str | None, *values: Any) -> dict[Any, Any]:
        return self._press(None) | self._score(self._form.read(values, language), language, moved)

    def _score_and_keep(self, language: str, keep: bool, moved: str | None, *values: Any) -> dict[Any, Any]:
        """Score what the form holds; with the person's consent, keep it. What was refused is not kept."""
        updates = self._score_typed(language, moved, *values)
        prediction_id = updates.get(self._prediction_id)
        if keep is not True or prediction_id is None:
            return updates
        return updates | self._keep.keep(prediction_id, language)

    def _choose_entity(self, language: str, moved: str | None, *values: Any) -> dict[Any, Any]:
        typed = self._form.read(values, language)
        assert self._form.entity is not None  # noqa: S101 (wired only then)
        past = self._service.past_of(str(typed[self._form.entity.column] or ""), limit=1)
        if not past:
            return self._score(typed, language, moved) | self._press(None)
        following = self._next_purchase(past[-1])
        scored = self._score(self._form.known(following), language, moved)
        return self._form.fill(following) | scored | self._press(None)

    def _next_purchase(self, newest: Mapping[str, Any]) -> dict[str, Any]:
        """Return a card's newest transaction an hour later: a start from which little needs changing."""
        profile = self._service.profile
        column = profile.columns.time
        if column is None:
            return dict(newest)
        later = min(moment_of(profile, newest[column]) + _NEXT_PURCHASE, datetime.now(UTC))
        return dict(newest) | {column: time_value(profile, later)}

    def _press(self, number: int | None) -> dict[Any, Any]:
        return {
            chip: gr.update(variant="primary" if i == number else "secondary")
            for i, chip in enumerate(self._chips)
        }

    # What is said

    def _score(self, transaction: Mapping[str, Any], language: str, moved: str | None) -> dict[Any, Any]:
        try:
            prediction = self._service.score(transaction)
            asked = prediction.audit_asked is True
            fresh = self._flag.fresh(language, audit_asked=asked) | self._keep.fresh()
            return fresh | self._present(prediction, language, moved) | {self._alert: ""}
        except FraudError as error:
            return self._refuse(error, language)

    def _refuse(self, error: FraudError, language: str) -> dict[Any, Any]:
        errors = (error.problems or (error,)) if isinstance(error, TransactionError) else (error,)
        sentences = [error_text(e, self._service.profile, language) for e in errors[:_MAX_SENTENCES]]
        columns = [e.field for e in errors if e.field is not None]
        ids = [self._form.element_id(column) for column in columns]
        marks = ", ".join(f"#{i} input" for i in ids if i is not None)
        style = f"<style>{marks} {{border-color: var(--decline) !important}}</style>" if marks else ""
        updates: dict[Any, Any] = {
            self._alert: alert_html(*sentences) + style,
            self._verdict: answers.stale_html(language),
        }
        if self._form.more is not None and any(self._form.is_folded(column) for column in columns):
            updates[self._form.more] = gr.update(open=True)
        return updates

    def _present(self, prediction: Prediction, language: str, moved: str | None) -> dict[Any, Any]:
        """Return the updates that show a prediction, its reasons and its past; FraudError as it comes."""
        profile = self._service.profile
        updates: dict[Any, Any] = {
            self._prediction_id: prediction.prediction_id,
            self._verdict: answers.verdict_html(prediction, language),
        }
        explanations = self._service.explain(prediction)
        updates |= self._answers.show(profile, prediction, explanations, language)
        updates |= self._what_if.show(prediction, moved or self._what_if.field.value, language)
        if not self._past.possible:
            return updates
        assert profile.main_entity is not None  # noqa: S101 (checked by `possible`)
        entity = prediction.transaction.get(profile.main_entity.column)
        past = self._service.past_of(str(entity)) if entity else []
        return updates | self._past.show(profile, prediction.transaction, past, language)


def _worded(words: Any) -> Any:
    """Return a function of the language alone, so that a loop's variable stays bound."""
    return lambda language: words(language)


def _example_handler(tab: ScoreTab, number: int) -> Any:
    def show(language: str, moved: str | None) -> dict[Any, Any]:
        return tab.show_example(number, language, moved)

    return show
