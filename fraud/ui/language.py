"""Components whose words follow the language, and the one update that changes them all."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gradio as gr

Words = Callable[[str], Mapping[str, Any]]
"""A component's language-dependent arguments (label, info, choices, value...), for a language."""
C = TypeVar("C", bound=gr.blocks.Block)


class Localised:
    """Makes components and remembers how each reads in every language."""

    def __init__(self) -> None:
        self._words: dict[gr.blocks.Block, Words] = {}

    def make(self, kind: Callable[..., C], words: Words, **fixed: Any) -> C:
        """Return a new component in English; `updates` says it in another language."""
        component = kind(**fixed, **words("en"))
        self._words[component] = words
        return component

    @property
    def components(self) -> list[gr.blocks.Block]:
        """All components made here, in order."""
        return list(self._words)

    def updates(self, language: str) -> dict[Any, Any]:
        """Return every component's update into a language."""
        return {component: gr.update(**words(language)) for component, words in self._words.items()}
