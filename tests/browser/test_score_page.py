"""What a visitor sees and does, in a real browser against the real application."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
Open = Callable[..., Page]


def probabilities(page: Page) -> list[str]:
    return page.locator(".probability b").all_inner_texts()


def score_with(page: Page, label: str, value: str) -> None:
    page.get_by_label(label).fill(value)
    page.click("#score")


def test_the_first_view_shows_both_models_answers_with_reasons(open_page: Open) -> None:
    page = open_page()
    assert len(probabilities(page)) == 2
    expect(page.locator(".decision")).to_have_count(2)
    expect(page.locator(".answer .signed")).to_have_count(2)
    expect(page.locator(".timeline .js-plotly-plot")).to_have_count(1)
    expect(page.locator("#verdict")).to_contain_text("Model version 1.0.0")


def test_an_example_changes_both_answers_and_the_form(open_page: Open) -> None:
    page = open_page()
    before, amount = probabilities(page), page.get_by_label("Amount (EUR)").input_value()
    page.get_by_role("button", name="Legitimate").click()
    expect(page.locator(".probability b").first).not_to_have_text(before[0])
    expect(page.locator(".probability b").last).not_to_have_text(before[1])
    expect(page.get_by_label("Amount (EUR)")).not_to_have_value(amount)


def test_a_bad_amount_gets_its_sentence_and_stays(open_page: Open) -> None:
    page = open_page()
    score_with(page, "Amount (EUR)", "-5")
    alert = page.locator("#form-alert [role=alert]")
    expect(alert).to_contain_text("Amount must be at least 0.01")
    expect(page.get_by_label("Amount (EUR)")).to_have_value("-5")
    score_with(page, "Amount (EUR)", "12")
    expect(alert).to_have_count(0)
    expect(page.locator("#verdict")).to_contain_text("Model version")


def test_a_card_brings_its_history(open_page: Open) -> None:
    page = open_page()
    card = page.get_by_label("Card", exact=True)
    before = card.input_value()
    card.click()
    option = page.get_by_role("option").filter(has_not_text=before).first
    name = option.inner_text().strip().removeprefix("✓").strip()
    option.click()
    expect(page.get_by_text(f"History of card {name}")).to_be_visible()
    expect(card).to_have_value(name)


def test_an_unknown_card_can_be_typed(open_page: Open) -> None:
    page = open_page()
    card = page.get_by_label("Card", exact=True)
    card.click()
    card.fill("C99999")
    card.press("Enter")
    expect(page.get_by_text("No history is known of card C99999")).to_be_visible()


def test_an_answer_becomes_a_receipt_and_then_a_revision(open_page: Open) -> None:
    page = open_page()
    page.click("#flag-wrong")
    page.locator("#flag").get_by_label("Legitimate").check()
    page.click("#flag-send")
    expect(page.locator("#flag-status [role=alert]")).to_contain_text("consent")
    page.get_by_label("I agree").check()
    page.locator("#flag-send").dblclick()
    expect(page.locator(".receipt")).to_contain_text("Receipt f_")
    receipt = page.locator(".receipt code").first.inner_text()
    expect(page.locator(".receipt .committed")).to_be_visible(timeout=60_000)
    assert page.locator(".receipt code").first.inner_text() == receipt
    assert len(page.locator(".receipt .committed code").inner_text()) == 12


def test_a_new_transaction_asks_again(open_page: Open) -> None:
    page = open_page()
    page.click("#flag-right")
    expect(page.locator("#flag-send")).to_be_visible()
    page.get_by_role("button", name="Legitimate").click()
    expect(page.locator("#flag-send")).to_be_hidden()
    expect(page.locator("#flag-right")).to_be_enabled()


def test_a_brazilian_browser_gets_portuguese_and_can_switch(open_page: Open) -> None:
    page = open_page(locale="pt-BR")
    expect(page.get_by_role("heading", name="Esta transação é fraude?")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(page.get_by_label("Valor (EUR)")).to_be_visible()
    score_with(page, "Valor (EUR)", "-5")
    expect(page.locator("#form-alert [role=alert]")).to_contain_text("Valor deve ser no mínimo 0,01")
    page.locator("#language").get_by_text("English").click()
    expect(page.get_by_label("Amount (EUR)")).to_have_value("-5")
    expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("locale", ["en-US", "pt-BR"])
def test_a_phone_never_scrolls_sideways(open_page: Open, locale: str) -> None:
    page = open_page(locale=locale, width=390, height=844)
    page.click("#flag-wrong")
    expect(page.locator("#flag-send")).to_be_visible()
    page.get_by_text("Mais campos" if locale == "pt-BR" else "More fields").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_form_can_be_sent_from_the_keyboard(open_page: Open) -> None:
    page = open_page()
    before = probabilities(page)
    amount = page.get_by_label("Amount (EUR)")
    amount.fill("4999")
    amount.press("Enter")
    expect(page.locator(".probability b").first).not_to_have_text(before[0])


def test_what_is_scored_is_kept_only_while_the_box_is_ticked(open_page: Open) -> None:
    page = open_page()
    box = page.get_by_label("Keep what I score to watch the models")
    expect(box).not_to_be_checked()
    score_with(page, "Amount (EUR)", "31")
    expect(page.locator("#keep-status")).to_have_text("")
    box.check()
    score_with(page, "Amount (EUR)", "32")
    expect(page.locator("#keep-status")).to_contain_text("Receipt p_")
    page.get_by_role("button", name="Legitimate").click()
    expect(page.locator("#keep-status")).to_have_text("")
    expect(box).to_be_checked()
    score_with(page, "Amount (EUR)", "33")
    expect(page.locator("#keep-status")).to_contain_text("Receipt p_")
