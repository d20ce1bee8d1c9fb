"""The page as the server first sends it: in the visitor's language, with a worked example already scored.

Without this the browser would draw an empty English page and fill it in after one more question to the
server: a Portuguese reader would see English flash by, and everybody would see empty cards.
"""

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, cast

import gradio as gr
from gradio.blocks import Block
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fraud.ui.texts import LANGUAGES, choose_language, text
from fraud.ui.texts_notices import NOTICES

LANGUAGE_COOKIE = "fraud_language"
View = Callable[[str], Mapping[Any, Any]]
"""What the page shows first, in a language: component -> value or update, as an event's handler says it."""
_asked_for: ContextVar[str] = ContextVar("page_language", default="en")


def language_of(headers: Headers) -> str:
    """Return the language of a request: as chosen on the page before, or else as the browser prefers."""
    chosen = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    return chosen if chosen in LANGUAGES else choose_language(headers.get("accept-language", ""))


class PageLanguage:
    """ASGI middleware: notes which language a request is for while `Page` answers it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return

        async def send_varying(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"] in ("", "/", "/config"):
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Accept-Language")
                headers.add_vary_header("Cookie")
            await send(message)

        token = _asked_for.set(language_of(Headers(scope=scope)))
        try:
            await self._app(scope, receive, send_varying)
        finally:
            _asked_for.reset(token)


class Page(gr.Blocks):
    """Blocks whose first render follows the request's language; `show_first` says what is on it.

    Gradio keeps one `config` for all visitors and reads it once for each page that it sends: here it is a
    property, so that each language gets its own. The view is made once for each language and `edition`.
    """

    def __init__(self, **arguments: Any) -> None:
        self._plain: dict[str, Any] = {}
        self._view: View | None = None
        self._edition: Callable[[], str] = lambda: ""
        self._made: dict[str, tuple[str, dict[str, Any]]] = {}
        self._making = threading.Lock()
        super().__init__(**arguments)

    def show_first(self, view: View, edition: Callable[[], str]) -> None:
        """Say what the page shows first; it is made anew when `edition` returns something else."""
        self._view, self._edition = view, edition

    def prepare(self) -> None:
        """Make the first view of every language now, so that no visitor waits for it."""
        for language in LANGUAGES:
            token = _asked_for.set(language)
            _ = self.config
            _asked_for.reset(token)

    @property
    def config(self) -> Any:
        """What the browser draws the page from."""
        if self._view is None or not self._plain:
            return self._plain
        language, edition = _asked_for.get(), self._edition()
        with self._making:
            made = self._made.get(language)
            if made is None or made[0] != edition:
                made = (edition, _rendered(self._plain, self._view(language), language))
                self._made[language] = made
        return made[1]

    @config.setter
    def config(self, config: Any) -> None:
        self._plain = config
        self._made = {}


def _rendered(config: Mapping[str, Any], view: Mapping[Any, Any], language: str) -> dict[str, Any]:
    shown = {
        component._id: properties(component, update)
        for component, update in view.items()
        if not isinstance(component, gr.State | gr.Timer)  # none holds anything or runs yet
    }
    components = [
        {**one, "props": _changed(one["props"], shown[one["id"]])} if one["id"] in shown else one
        for one in config["components"]
    ]
    words = {one: {n: text(f"notice_{n}", one) for n in NOTICES} for one in LANGUAGES}
    own = {"title": text("title", language), "page_language": language, "page_words": words}
    return {**config, "components": components, **own}


def _changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return properties with changes; Gradio sends none that is None but a value."""
    return {n: v for n, v in {**before, **changes}.items() if v is not None or n == "value"}


def properties(component: Block, update: object) -> dict[str, Any]:
    """Return what an event handler's word on a component changes of its properties, ready for the browser."""
    if isinstance(update, Block):
        changes = dict(update.constructor_args)
    elif isinstance(update, dict) and update.get("__type__") == "update":
        changes = {name: value for name, value in update.items() if name != "__type__"}
    else:
        changes = {"value": update}
    if "value" in changes and isinstance(component, gr.components.Component):
        changes["value"] = _for_browser(component, changes["value"])
    return changes


def _for_browser(component: gr.components.Component, value: object) -> Any:
    shown = cast(Any, component).postprocess(value)
    return shown.model_dump() if hasattr(shown, "model_dump") else shown
