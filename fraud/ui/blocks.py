"""Assembles the page. `build_blocks` and `mount_arguments` are all that the application needs."""

import html
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import gradio as gr
from fastapi import FastAPI

from fraud.errors import SettingsError
from fraud.service import FraudService
from fraud.tables.desk import TableDesk
from fraud.ui.access import ReviewAccess
from fraud.ui.batch import MAX_FILE, BatchTab
from fraud.ui.comparing import CompareSection
from fraud.ui.first_render import Page, PageLanguage
from fraud.ui.language import Localised
from fraud.ui.memory import KEEP_LANGUAGE, RECALL, RESUME, RESUME_IF_NEEDED, SPEAK_LANGUAGE, read_recalled
from fraud.ui.models import BELOW_COMPARISON, ModelsTab
from fraud.ui.monitoring import MonitoringTab
from fraud.ui.review import ReviewTab
from fraud.ui.score import ScoreTab
from fraud.ui.texts import LANGUAGE_NAMES, LANGUAGES, text
from fraud.ui.theme import STYLESHEETS, page_head, page_theme
from fraud.ui.versions import VersionsTab

_TABS = ("batch", "review", "monitoring", "versions", "models")
_CONCURRENT = 8
_WAITING = 128


def mount_arguments(service: FraudService, *, mcp: bool = False) -> dict[str, Any]:
    """Return what `gr.mount_gradio_app` needs beside the blocks: the look, and MCP if asked for.

    Raises
    ------
    SettingsError
        MCP is asked for and its package is not installed.
    """
    if mcp and find_spec("mcp") is None:
        raise SettingsError(
            "FRAUD_MCP is 1 and its package is missing: pip install 'gradio[mcp]', or set it to 0.",
            code="mcp",
            field="FRAUD_MCP",
        )
    return {
        "mcp_server": mcp,
        "theme": page_theme(),
        "css_paths": STYLESHEETS,
        "head": page_head(),
        "max_file_size": MAX_FILE,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "ssr_mode": False,
        "pwa": False,
    }


def mount_page(app: FastAPI, page: Page, service: FraudService, *, mcp: bool = False) -> FastAPI:
    """Return the application with the page on it, its first view made; SettingsError as `mount_arguments`."""
    app.add_middleware(PageLanguage)
    gr.mount_gradio_app(app, page, path="/", **mount_arguments(service, mcp=mcp))
    page.prepare()
    return app


def build_blocks(
    service: FraudService,
    review_password: str | None = None,
    reviewers: Sequence[str] = (),
    tables: TableDesk | None = None,
) -> Page:
    """Return the page over a service; its form follows the profile of the model that serves now.

    Maintainers review flags on it with `review_password`, or signed in under one of `reviewers`; without
    either nobody can. `tables` scores tables; by default one of its own.
    """
    localised = Localised()
    page = Page(
        title=text("title", "en"), analytics_enabled=False, fill_width=True, delete_cache=(3600, 3600)
    )
    with page:
        with gr.Row(elem_classes=["masthead"]):
            localised.make(gr.HTML, lambda language: {"value": _masthead(service, language)})
            language = localised.make(
                gr.Radio,
                lambda language: {"label": text("language", language)},
                choices=[(LANGUAGE_NAMES[code], code) for code in LANGUAGES],
                value="en",
                container=False,
                show_label=False,
                elem_id="language",
                interactive=True,
            )
        language.input(None, language, None, js=KEEP_LANGUAGE)  # before anything that waits for the server
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap") as tabs:
            with localised.make(gr.Tab, lambda chosen: {"label": text("tab_score", chosen)}, id="score"):
                tab = ScoreTab(service, localised, language)
            with localised.make(
                gr.Tab, lambda chosen: {"label": text("tab_batch", chosen)}, id="batch"
            ) as batch:
                BatchTab(service, localised, language, batch, tables)
            with localised.make(
                gr.Tab, lambda chosen: {"label": text("tab_review", chosen)}, id="review"
            ) as reviewed:
                access = ReviewAccess(review_password, reviewers=reviewers)
                review = ReviewTab(service, localised, language, access)
            with localised.make(
                gr.Tab, lambda chosen: {"label": text("tab_monitoring", chosen)}, id="monitoring"
            ) as opened:
                MonitoringTab(service, localised, language, opened)
            with localised.make(
                gr.Tab, lambda chosen: {"label": text("tab_versions", chosen)}, id="versions"
            ) as versions:
                VersionsTab(service, localised, language, versions, access, review.token)
            with localised.make(
                gr.Tab, lambda chosen: {"label": text("tab_models", chosen)}, id="models"
            ) as models:
                localised.make(
                    gr.HTML, lambda chosen: {"value": f'<h2 class="unseen">{text("tab_models", chosen)}</h2>'}
                )
                CompareSection(service, localised, language, models)
                ModelsTab(service, language, models, BELOW_COMPARISON)
        review.follow(reviewed)
        _wire(service, page, localised, language, tab, review, tabs)
    page.queue(default_concurrency_limit=_CONCURRENT, max_size=_WAITING, api_open=False)
    return page


def _masthead(service: FraudService, language: str) -> str:
    profile = service.profile
    title, about = (html.escape(t.in_language(language)) for t in (profile.title, profile.description))
    return (
        f"<h1>{text('title', language)}</h1><p>{text('lead', language)}</p>"
        f'<p class="quiet"><b>{title}</b> \u00b7 {about}</p>'
    )


def _wire(
    service: FraudService,
    page: Page,
    localised: Localised,
    language: Any,
    tab: ScoreTab,
    review: ReviewTab,
    tabs: gr.Tabs,
) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    outputs = list(dict.fromkeys([language, tabs, *localised.components, *tab.outputs, *review.outputs]))
    n_state = len(tab.state)

    def edition() -> str:
        return service.model_version.manifest_digest

    def first_view(chosen: str) -> dict[Any, Any]:
        own = {language: gr.update(value=chosen)}
        return merge(localised.updates(chosen), tab.first_view(chosen), own)

    def resume(said: object) -> dict[Any, Any]:
        recalled = read_recalled(said)
        chosen = recalled.chosen or recalled.shown or "en"
        own = {tabs: gr.update(selected=recalled.tab)} if recalled.tab in _TABS else {}
        # Never empty: that would be no answer for the page.
        anew = {language: gr.update()} if chosen == recalled.shown else first_view(chosen)
        return merge(anew, tab.recall(recalled, chosen), own)

    def say_again(chosen: str, account: gr.OAuthProfile | None, *state: Any) -> dict[Any, Any]:
        said = tab.in_language(chosen, *state[:n_state])
        return merge(localised.updates(chosen), said, review.in_language(chosen, account, *state[n_state:]))

    page.show_first(first_view, edition)
    # Most visitors have nothing to resume: their page asks the server nothing more before they do.
    resuming = gr.Button(visible="hidden", elem_id=RESUME)
    resuming.click(resume, gr.JSON(visible=False), outputs, js=RECALL, **quiet).then(
        None, language, None, js=SPEAK_LANGUAGE
    )
    page.load(None, js=RESUME_IF_NEEDED)
    if review.by_account:
        page.load(review.first_view, language, review.outputs, **quiet)
    language.input(say_again, [language, *tab.state, *review.state], outputs, **quiet).then(
        None, language, None, js=SPEAK_LANGUAGE
    )


def merge(*updates: dict[Any, Any]) -> dict[Any, Any]:
    """Return all updates as one; of a component named twice, the later one adds to the earlier."""
    merged: dict[Any, Any] = {}
    for component, update in (item for one in updates for item in one.items()):
        before = merged.get(component)
        if isinstance(before, dict) and before.get("__type__") == "update":
            is_update = isinstance(update, dict) and update.get("__type__") == "update"
            merged[component] = before | (update if is_update else gr.update(value=update))
        else:
            merged[component] = update
    return merged
