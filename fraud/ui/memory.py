"""What the browser remembers for its visitor: the language, and what was typed until the tab is closed.

The browser's side is page.js: the language lives in its local storage and in a cookie, so that the server can
already send the page in it; what was typed lives in the tab's own storage, which a reload keeps and closing
the tab empties. Nothing of it is trusted here: it comes from outside like any request.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fraud.ui.texts import LANGUAGES

RESUME = "resume"
"""The id of the button that asks the server to put back what the browser remembers; nobody sees it."""
RESUME_IF_NEEDED = f'() => {{ window.fraudPage.resume("{RESUME}"); }}'
RECALL = "() => [window.fraudPage.recall()]"
KEEP_LANGUAGE = "(language) => { window.fraudPage.keepLanguage(language); }"
SPEAK_LANGUAGE = "(language) => { window.fraudPage.speak(language); }"
_MAX_FIELDS, _MAX_TEXT = 200, 2_000
_SCALARS = (str, int, float, bool)


@dataclass(frozen=True)
class Recalled:
    """What a browser said that it remembers, checked.

    Parameters
    ----------
    chosen : the language that was chosen before; None if none was
    shown : the language that the page now shows
    tab : the tab that the page's address asks for
    typed : what the form held, column -> value; empty if nothing was typed
    verdict, label, comment : what was begun of an answer to "Was this right?"
    """

    chosen: str | None = None
    shown: str | None = None
    tab: str = ""
    typed: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = ""
    label: str | None = None
    comment: str = ""


def read_recalled(said: object) -> Recalled:
    """Return what a browser said that it remembers; whatever does not fit is as if it were not said."""
    if not isinstance(said, Mapping):
        return Recalled()
    typed = said.get("typed")
    flag = said.get("flag")
    flag = flag if isinstance(flag, Mapping) else {}
    label = flag.get("label")
    return Recalled(
        chosen=_language(said.get("chosen")),
        shown=_language(said.get("shown")),
        tab=_text(said.get("tab")),
        typed=_scalars(typed) if isinstance(typed, Mapping) else {},
        verdict=verdict if (verdict := flag.get("verdict")) in ("right", "wrong") else "",
        label=label if label in ("fraud", "legitimate") else None,
        comment=_text(flag.get("comment")),
    )


def keep_typed(columns: Sequence[str]) -> str:
    """Return the script of an event that keeps the form's values; `columns` name them in their order."""
    named = json.dumps(list(columns)).replace("</", "<\\/")
    return f"(...values) => {{ window.fraudPage.keepTyped({named}, values); }}"


def keep_flag(part: str = "", *, verdict: str = "") -> str:
    """Return the script of an event that keeps a verdict, or the value that it is given as `part`."""
    if verdict:
        return f'() => {{ window.fraudPage.keepFlag("verdict", "{verdict}"); }}'
    return f'(value) => {{ window.fraudPage.keepFlag("{part}", value); }}'


def _language(value: object) -> str | None:
    return value if isinstance(value, str) and value in LANGUAGES else None


def _text(value: object) -> str:
    return value[:_MAX_TEXT] if isinstance(value, str) else ""


def _scalars(typed: Mapping[Any, Any]) -> dict[str, Any]:
    kept = list(typed.items())[:_MAX_FIELDS]
    return {
        str(column): value[:_MAX_TEXT] if isinstance(value, str) else value
        for column, value in kept
        if value is None or isinstance(value, _SCALARS)
    }
