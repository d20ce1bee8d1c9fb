"""The texts of the first minute and of what-if, in English and Brazilian Portuguese side by side."""

from collections.abc import Mapping

SCORE_TEXTS: Mapping[str, tuple[str, str]] = {
    "recalled": (
        "What you had typed before the page was reloaded is back.",
        "O que você tinha digitado antes de a página recarregar voltou.",
    ),
}
