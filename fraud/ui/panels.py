"""What the Score and the Review tab both show of a prediction: two answers with reasons, and the past."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from fraud.data.profile import Profile
from fraud.records import MODELS, Prediction
from fraud.serving.scorer import Explanation
from fraud.ui import answers
from fraud.ui.plots import plot_data
from fraud.ui.texts import text


class AnswerPanel:
    """Both models' answers side by side; draws itself inside the current Blocks context.

    Parameters
    ----------
    elem_id : begins the elements' ids, which end with the model's name; None gives none
    """

    def __init__(self, elem_id: str | None = None) -> None:
        self.heads: dict[str, gr.HTML] = {}
        with gr.Row(elem_classes=["answers"], equal_height=True):
            for model in MODELS:
                own_id = None if elem_id is None else f"{elem_id}-{model}"
                with gr.Column(elem_classes=["answer", "sheet"], elem_id=own_id, min_width=260):
                    self.heads[model] = gr.HTML()

    @property
    def outputs(self) -> list[Any]:
        """Every component that `show` and `closed` change."""
        return [*self.heads.values()]

    def show(
        self,
        profile: Profile,
        prediction: Prediction,
        explanations: Mapping[str, Explanation] | None,
        language: str,
    ) -> dict[Any, Any]:
        """Return the updates that show a prediction; without explanations they say why there are none."""
        none = f'<p class="quiet">{text("review_no_reasons", language)}</p>'
        return {
            self.heads[model]: answers.answer_html(prediction.scores[model], language)
            + (none if explanations is None else answers.reasons_html(profile, explanations[model], language))
            for model in MODELS
        }

    def closed(self) -> dict[Any, Any]:
        """Return the updates that leave nothing of any prediction on the page."""
        return dict.fromkeys(self.heads.values(), "")


class PastPanel:
    """The main entity's past as a timeline; draws itself where the profile has times and amounts."""

    def __init__(self, profile: Profile) -> None:
        timed = profile.columns.time is not None and profile.columns.amount is not None
        self.possible = profile.main_entity is not None and timed
        with gr.Column(elem_classes=["past", "sheet"], visible=self.possible):
            self.head = gr.HTML()
            self.plot = gr.Plot(show_label=False, container=False, elem_classes=["timeline"], visible=False)

    @property
    def outputs(self) -> list[Any]:
        """Every component that `show` and `closed` change."""
        return [self.head, self.plot]

    def show(
        self,
        profile: Profile,
        transaction: Mapping[str, Any],
        past: Sequence[Mapping[str, Any]],
        language: str,
    ) -> dict[Any, Any]:
        """Return the updates that show a transaction after its past, oldest first; none if impossible."""
        if not self.possible or profile.main_entity is None:
            return {}
        entity = transaction.get(profile.main_entity.column)
        marks = answers.past_marks(profile, past, transaction, language)
        n_past = max(len(marks) - 1, 0)
        plot = gr.update(visible=False)
        if n_past:
            plot = gr.update(value=plot_data(answers.past_figure(profile, marks, language)), visible=True)
        return {self.head: answers.past_html(profile, entity, n_past, language), self.plot: plot}

    def closed(self) -> dict[Any, Any]:
        """Return the updates that leave nothing of any past on the page."""
        return {self.head: "", self.plot: gr.update(value=None, visible=False)}
