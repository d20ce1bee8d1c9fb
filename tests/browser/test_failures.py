"""A lost network, a full queue, a reload in the middle: each is said, and what was typed stays."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.browser
AMOUNT = "Amount (EUR)"
SAID = {
    "en-US": ("cannot be reached", "Too many people", "Amount (EUR)"),
    "pt-BR": ("não responde", "Há gente demais", "Valor (EUR)"),
}


@pytest.fixture
def fresh(contexts: Callable[..., BrowserContext], app_url: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page; unlike `open_page`'s, it may fail to reach the server."""
    pages = []

    def opened(locale: str = "en-US", width: int = 1440) -> Page:
        context = contexts(locale, width, 900, "light")
        context.clear_cookies()
        pages.append(context.new_page())
        pages[-1].goto(app_url)
        expect(pages[-1].locator(".decision")).to_have_count(2)
        return pages[-1]

    yield opened
    for page in pages:
        page.context.set_offline(False)
        page.evaluate("localStorage.clear()")
        page.close()


@pytest.mark.parametrize("locale", SAID)
def test_a_lost_network_is_said_and_what_was_typed_stays(fresh: Callable[..., Page], locale: str) -> None:
    page = fresh(locale)
    lost, _, label = SAID[locale]
    page.get_by_label(label).fill("77")
    page.context.set_offline(True)
    page.click("#score")
    expect(page.locator("#notice[role=alert]")).to_contain_text(lost)
    expect(page.get_by_label(label)).to_have_value("77")
    page.context.set_offline(False)
    page.wait_for_timeout(1_000)  # Gradio may load the page anew once it reaches the server again
    expect(page.get_by_label(label)).to_have_value("77")
    before = page.locator("#verdict").inner_text()
    page.get_by_label(label).fill("78")
    page.click("#score")
    expect(page.locator("#verdict")).not_to_have_text(before)
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.parametrize("locale", SAID)
def test_a_full_queue_is_said_and_the_next_try_succeeds(fresh: Callable[..., Page], locale: str) -> None:
    page = fresh(locale)
    _, full, label = SAID[locale]
    page.get_by_label(label).fill("77")
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": "Queue is full."}))
    page.click("#score")
    expect(page.locator("#notice[role=alert]")).to_contain_text(full)
    expect(page.get_by_label(label)).to_have_value("77")
    page.unroute("**/queue/join*")
    before = page.locator("#verdict").inner_text()
    page.click("#score")
    expect(page.locator("#verdict")).not_to_have_text(before)
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_reload_in_the_middle_keeps_form_verdict_and_comment(
    fresh: Callable[..., Page], width: int
) -> None:
    page = fresh("en-US", width)
    before = page.locator("#verdict").inner_text()
    page.get_by_label(AMOUNT).fill("4321")
    page.click("#score")
    expect(page.locator("#verdict")).not_to_have_text(before)
    page.click("#flag-wrong")
    page.get_by_label("Comment (optional)").fill("called the bank")
    page.wait_for_function("sessionStorage.fraud_flag?.includes('called the bank')")
    page.reload()
    expect(page.get_by_label(AMOUNT)).to_have_value("4321")
    expect(page.get_by_label("Comment (optional)")).to_have_value("called the bank")
    expect(page.get_by_text("What you had typed before")).to_be_visible()
    expect(page.get_by_label("I agree")).not_to_be_checked()


def test_a_broken_value_survives_a_reload_with_its_sentence(fresh: Callable[..., Page]) -> None:
    page = fresh()
    page.get_by_label(AMOUNT).fill("-5")
    page.reload()
    expect(page.get_by_label(AMOUNT)).to_have_value("-5")
    expect(page.locator("#form-alert [role=alert]")).to_contain_text("Amount must be at least")


def test_waiting_for_the_server_is_shown_and_announced(browser: Browser, app_url: str) -> None:
    context = browser.new_context()
    page, held = context.new_page(), []
    page.clock.install()
    page.goto(app_url)
    expect(page.locator(".decision")).to_have_count(2)
    page.route("**/queue/data*", lambda route: held.append(route))
    page.click("#score")
    expect(page.locator("#waiting[role=status]")).to_have_text("Waiting for the server…")
    expect(page.locator("#notice")).not_to_contain_text("waiting for its turn")
    page.clock.fast_forward(8_000)
    expect(page.locator("#notice")).to_contain_text("waiting for its turn")
    held[0].continue_()
    expect(page.locator("#waiting")).to_have_text("")
    expect(page.locator("#notice")).to_be_hidden()
    context.close()
