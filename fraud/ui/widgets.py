"""Components that differ only by their words."""

from typing import Any

import gradio as gr

from fraud.ui.language import Localised
from fraud.ui.texts import text


def text_button(localised: Localised, key: str, **fixed: Any) -> gr.Button:
    """Return a button that says the text of a key."""
    return localised.make(gr.Button, lambda chosen: {"value": text(key, chosen)}, **fixed)


def text_field(localised: Localised, key: str, **fixed: Any) -> gr.Textbox:
    """Return a line to type in, labelled by the text of a key."""
    return localised.make(
        gr.Textbox,
        lambda chosen: {"label": text(key, chosen)},
        max_lines=1,
        min_width=120,
        elem_classes=["field"],
        **fixed,
    )


def text_dropdown(localised: Localised, key: str, **fixed: Any) -> gr.Dropdown:
    """Return a dropdown without choices yet, labelled by the text of a key."""
    return localised.make(
        gr.Dropdown,
        lambda chosen: {"label": text(key, chosen)},
        choices=[],
        interactive=True,
        min_width=120,
        elem_classes=["field"],
        **fixed,
    )
