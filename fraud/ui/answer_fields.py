"""The fields of an answer, wherever people give one: what it was, a note, and consent."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from fraud.records import Label
from fraud.ui.texts import text


def answer_fields(make: Callable[..., Any], consent_id: str) -> tuple[gr.Radio, gr.Textbox, gr.Checkbox]:
    """Return label, note and consent as components that follow the page's language (`Localised.make`)."""
    label = make(
        gr.Radio,
        lambda language: {
            "label": text("what_was_it", language),
            "choices": [(text(f"label_{label}", language), label.value) for label in Label],
        },
        elem_classes=["field"],
    )
    comment = make(
        gr.Textbox,
        lambda language: {"label": text("comment", language), "placeholder": text("comment_help", language)},
        lines=2,
        elem_classes=["field"],
    )
    consent = make(
        gr.Checkbox,
        lambda language: {"label": text("consent", language), "info": text("consent_detail", language)},
        elem_id=consent_id,
        elem_classes=["field"],
    )
    return label, comment, consent
