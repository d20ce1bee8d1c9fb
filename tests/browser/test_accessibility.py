"""axe-core over every tab, in both schemes, both languages, on a desktop and on a phone: no violations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settle

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
AXE = Path(__file__).parent / "axe/node_modules/axe-core/axe.min.js"
TABS = '#tabs > .tab-wrapper [role="tab"]'


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page as it is: rule, place, markup."""
    assert AXE.exists(), "axe-core is missing: npm ci --prefix tests/browser/axe"
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    # What is in order is counted, not described: that takes half of the time.
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']} at {node['target']}: {node['html'][:200]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


DESKTOP, PHONE = (1440, 900), (390, 844)


# Each scheme, language and size meets each of the others once; what only all three make is not looked for.
@pytest.mark.parametrize(
    ("scheme", "locale", "size"),
    [
        ("light", "en-US", DESKTOP),
        ("light", "pt-BR", PHONE),
        ("dark", "en-US", PHONE),
        ("dark", "pt-BR", DESKTOP),
    ],
)
def test_no_tab_has_a_violation(open_page: Open, scheme: str, locale: str, size: tuple[int, int]) -> None:
    page = open_page(locale, *size, scheme)
    found: dict[str, list[str]] = {}
    names = page.locator(TABS).all_inner_texts()
    assert len(names) >= 4
    for name in names:
        page.locator(TABS).get_by_text(name, exact=True).click()
        settle(page)
        if here := violations(page):
            found[name] = here
    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_of_a_flow_has_a_violation(open_page: Open, scheme: str) -> None:
    page = open_page("en-US", 1440, 900, scheme)
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        settle(page)
        if here := violations(page):
            found[state] = here

    page.get_by_label("Amount (EUR)").fill("-5")
    page.click("#score")
    expect(page.locator("#form-alert [role=alert]")).to_be_visible()
    look("an error")
    page.get_by_label("Amount (EUR)").fill("12")
    page.click("#score")
    expect(page.locator("#form-alert [role=alert]")).to_have_count(0)
    page.click("#flag-wrong")
    expect(page.locator("#flag-send")).to_be_visible()
    look("a verdict")
    page.locator("#flag").get_by_label("Legitimate").check()
    page.get_by_label("I agree").check()
    page.click("#flag-send")
    expect(page.locator(".receipt .committed")).to_be_visible()
    page.click("#withdraw")
    look("a receipt")
    page.click("#tour-start")
    expect(page.locator("#tour-1 h2")).to_be_focused()
    look("the tour")
    assert found == {}


def test_the_scan_finds_what_is_wrong(open_page: Open) -> None:
    page = open_page()
    page.evaluate("document.getElementById('verdict').innerHTML = '<img src=\"data:,\"><button></button>'")
    found = violations(page)
    assert any("image-alt" in one for one in found) and any("button-name" in one for one in found)
