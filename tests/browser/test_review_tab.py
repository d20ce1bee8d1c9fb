"""A maintainer at work in a real browser: log in, decide by keyboard, and the next case comes by itself."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import REVIEW_PASSWORD

pytestmark = pytest.mark.browser


def flag(page: Page, example: str, comment: str) -> None:
    page.click(example)
    expect(page.locator("#flag-send")).to_be_hidden()
    page.click("#flag-wrong")
    page.locator("#flag").get_by_label("Comment").fill(comment)
    chosen = page.locator("#flag").get_by_label("Legitimate", exact=True)
    if chosen.is_visible():
        chosen.check()
    page.get_by_label("I agree").check()
    page.click("#flag-send")
    expect(page.locator("#flag-status .receipt")).to_contain_text("Receipt f_")


def test_a_maintainer_logs_in_decides_and_gets_the_next_case(open_page: Callable[..., Page]) -> None:
    page = open_page(width=390, height=844)
    flag(page, "#example-1", "<b>bold</b> claim")
    flag(page, "#example-2", "my own purchase")
    page.click("#withdraw")
    expect(page.locator("#withdraw-yes")).to_be_visible()
    page.click("#withdraw-no")
    page.get_by_role("tab", name="Review").click()
    page.locator("#review-password input").fill("a wrong guess")
    page.click("#review-log-in")
    expect(page.locator("#review-said [role=alert]")).to_contain_text("not the password")
    expect(page.locator("#review-accept")).to_be_hidden()
    page.locator("#review-password input").fill(REVIEW_PASSWORD)
    page.keyboard.press("Enter")

    word = page.locator("#review-word + p code")
    expect(word).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first = word.inner_text()
    page.locator("#review-note textarea").fill("A rare note")  # its letters decide nothing
    expect(word).to_have_text(first)
    page.locator("#review-note textarea").blur()
    page.keyboard.press("a")
    expect(page.locator("#review-said")).to_contain_text("Accepted: 1")
    expect(word).not_to_have_text(first)
    expect(page.locator("#review-note textarea")).to_have_value("")
    for _ in range(30):  # what other tests flagged waits in the same queue
        if page.locator("#review-case blockquote").is_visible():
            break
        before = word.inner_text()
        page.keyboard.press("r")
        expect(word).not_to_have_text(before)
    expect(page.locator("#review-case blockquote")).to_be_visible()
    expect(page.locator("#review-case blockquote b")).to_have_count(0)
    page.keyboard.press("r")
    expect(page.locator("#review-said")).to_contain_text("Rejected: 1")
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("#review-log-in")).to_be_visible()
    expect(page.locator("#review-case")).to_be_hidden()
