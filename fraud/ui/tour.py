"""A guided tour of four steps beside the page itself: each step points at the part that it tells of."""

from typing import Any

import gradio as gr

from fraud.ui.language import Localised, Words
from fraud.ui.texts import text

_POINTED = ("#answer-random_forest, #answer-xgboost", ".answer .signed", "#examples, #what-if", "#flag")
"""What each step points at, as a selector of the page."""
_OPEN = '() => { window.fraudPage.tour(1); return {visible: true, __type__: "update"}; }'
_CLOSE = '() => { window.fraudPage.tour(0); return {visible: false, __type__: "update"}; }'


class Tour:
    """Draws itself inside the current Blocks context. Its steps never ask the server."""

    def __init__(self, localised: Localised, opener: gr.Button) -> None:
        self._localised = localised
        with gr.Column(visible=False, elem_id="tour", elem_classes=["tour"]) as panel:
            steps = gr.Walkthrough(selected=1, elem_id="tour-steps")
            with steps:
                buttons = [self._step(number) for number in range(1, len(_POINTED) + 1)]
        for number, (back, onward) in enumerate(buttons, start=1):
            if back is not None:
                back.click(None, None, steps, js=_select(number - 1))
            if onward is not None:
                onward.click(None, None, steps, js=_select(number + 1))
        for closing in self._closing:
            closing.click(None, None, panel, js=_CLOSE)
        opener.click(None, None, panel, js=_OPEN).then(None, None, steps, js=_select(1))

    def _step(self, number: int) -> tuple[gr.Button | None, gr.Button | None]:
        make, last = self._localised.make, len(_POINTED)
        if number == 1:
            self._closing: list[gr.Button] = []
        with make(gr.Step, _worded(f"tour_{number}_label", "label"), id=number):
            make(gr.HTML, _told(number), elem_id=f"tour-{number}")
            with gr.Row(elem_classes=["tour-buttons"]):
                closing = make(gr.Button, _worded("tour_close"), size="sm", elem_classes=["tour-close"])
                self._closing.append(closing)
                back = onward = None
                if number > 1:
                    back = make(gr.Button, _worded("tour_back"), size="sm")
                if number < last:
                    onward = make(gr.Button, _worded("tour_next"), size="sm", variant="primary")
                else:
                    done = make(gr.Button, _worded("tour_done"), size="sm", variant="primary")
                    self._closing.append(done)
        return back, onward


def _select(number: int) -> str:
    update = f'{{selected: {number}, __type__: "update"}}'
    return f"() => {{ window.fraudPage.tour({number}); return {update}; }}"


def _worded(key: str, name: str = "value") -> Words:
    return lambda language: {name: text(key, language)}


def _told(number: int) -> Any:
    def words(language: str) -> dict[str, str]:
        title, body = text(f"tour_{number}_title", language), text(f"tour_{number}", language)
        pointed = _POINTED[number - 1]
        return {"value": f'<h2 tabindex="-1" data-points="{pointed}">{title}</h2><p>{body}</p>'}

    return words
