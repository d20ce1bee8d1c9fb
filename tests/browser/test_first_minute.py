"""The first minute: what a visitor sees before doing anything, the tour, what-if, the snippets."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser
Open = Callable[..., Page]
SIZES = pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])


def test_a_first_visit_asks_the_server_nothing_but_the_page(browser: Browser, app_url: str) -> None:
    context = browser.new_context()
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url) if "/queue/" in request.url else None)
    page.goto(app_url)
    expect(page.locator(".decision")).to_have_count(2)
    expect(page.locator(".answer .signed")).to_have_count(2)
    expect(page.locator(".response .js-plotly-plot")).to_have_count(1)
    assert asked == []
    context.close()


def test_a_portuguese_reader_never_sees_english(browser: Browser, app_url: str) -> None:
    context = browser.new_context(locale="pt-BR")
    page = context.new_page()
    page.add_init_script("""
        window.seen = new Set();
        new MutationObserver(() => {
          for (const one of document.querySelectorAll("h1, #verdict, #score, [role=tab], .answer h4"))
            if (one.innerText) window.seen.add(one.innerText);
        }).observe(document, {childList: true, subtree: true, characterData: true});
    """)
    page.goto(app_url)
    expect(page.get_by_role("button", name="Pontuar esta transação")).to_be_visible()
    seen = " ".join(page.evaluate("[...window.seen]"))
    assert "Esta transação é fraude?" in seen and "Por quê" in seen
    assert not any(words in seen for words in ("Is this transaction", "Score this", "Model version", "Why"))
    assert page.title() == "Esta transação é fraude?"
    context.close()


def test_where_the_system_chooses_the_colours_every_mark_stays(browser: Browser, app_url: str) -> None:
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    page.goto(app_url)
    expect(page.locator(".decision")).to_have_count(2)
    ground = "(one) => getComputedStyle(one).backgroundColor"
    for mark in (".needle", ".signed .track i.for", ".answer-head .swatch", ".legend i", ".marks .mark"):
        drawn = page.locator(mark).first.evaluate(ground)
        assert drawn not in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)", "rgb(0, 0, 0)"), mark
    chosen = page.locator(".field input[type=radio]:checked").first
    assert chosen.evaluate("(one) => getComputedStyle(one).appearance") == "auto"
    assert page.locator("#example-1").evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    context.close()


def test_the_chosen_language_outlives_a_reload(open_page: Open) -> None:
    page = open_page()
    page.locator("#language").get_by_text("Português").click()
    expect(page.locator("h1")).to_have_text("Esta transação é fraude?")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.reload()
    expect(page.locator("h1")).to_have_text("Esta transação é fraude?")
    page.context.clear_cookies()  # a frame of another site, where cookies are refused
    page.reload()
    expect(page.locator("h1")).to_have_text("Esta transação é fraude?")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.locator("#language").get_by_text("English").click()
    expect(page.locator("h1")).to_have_text("Is this transaction fraud?")


def test_a_language_chosen_a_moment_before_a_reload_is_kept(open_page: Open) -> None:
    page = open_page()
    page.route("**/gradio_api/queue/**", lambda route: None)  # the server has not said it all again yet
    page.locator("#language").get_by_text("Português").click()
    page.wait_for_function("localStorage.getItem('fraud_language') === 'pt-BR'")
    page.unroute("**/gradio_api/queue/**")
    page.reload()
    expect(page.locator("h1")).to_have_text("Esta transação é fraude?")


@SIZES
def test_the_tour_points_at_four_things_and_ends_where_it_began(
    open_page: Open, size: tuple[int, int]
) -> None:
    page = open_page("en-US", *size)
    page.click("#tour-start")
    for number in range(1, 5):
        expect(page.locator(f"#tour-{number} h2")).to_be_focused()
        expect(page.locator(".pointed").first).to_be_in_viewport()
        if number < 4:
            page.get_by_role("button", name="Next").click()
    page.keyboard.press("Escape")
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.locator("#tour-start")).to_be_focused()
    expect(page.locator(".pointed")).to_have_count(0)


@SIZES
def test_moving_a_field_redraws_both_answers(open_page: Open, size: tuple[int, int]) -> None:
    page = open_page("en-US", *size)
    before = page.locator("#what-if-said").inner_text()
    assert "Random Forest" in before and "XGBoost" in before
    page.get_by_label("What to change").click()
    page.get_by_role("option", name="Channel").click()
    expect(page.locator("#what-if-said")).not_to_have_text(before)
    expect(page.locator(".response .scatterlayer .trace")).to_have_count(2)


def test_a_new_answer_is_announced_with_both_probabilities(open_page: Open) -> None:
    page = open_page()
    said = page.locator("#said[role=status]")
    expect(said).to_have_text("")
    page.get_by_role("button", name="Legitimate").click()
    expect(said).to_contain_text("Random Forest")
    expect(said).to_contain_text("XGBoost")
    for shown in page.locator(".probability b").all_inner_texts():
        expect(said).to_contain_text(shown)


def test_the_arrow_keys_move_along_the_tabs(open_page: Open) -> None:
    page = open_page()
    tabs = page.locator('#tabs > .tab-wrapper [role="tab"]')
    tabs.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(1)).to_be_focused()
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Home")
    expect(tabs.first).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("locale", ["en-US", "pt-BR"])
def test_every_tab_keeps_its_name_on_a_phone(open_page: Open, locale: str) -> None:
    page = open_page(locale, 390, 844)
    tabs = page.locator('#tabs > .tab-wrapper [role="tab"]')
    assert tabs.count() >= 4 and page.locator(".overflow-menu").count() == 0
    tabs.last.click()
    expect(tabs.last).to_be_in_viewport(ratio=0.95)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", ["curl", "python", "table"])
def test_a_pasted_snippet_scores_here(open_page: Open, app_url: str, tmp_path: Path, name: str) -> None:
    page = open_page()
    page.get_by_role("button", name="Use this from code").click()
    snippet = page.locator(f'[data-snippet="{name}"]').inner_text()
    assert app_url.rstrip("/") in snippet and "7860" not in snippet
    command = [sys.executable, "-c", snippet] if name == "python" else ["bash", "-euc", snippet]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "random_forest" in ran.stdout and "xgboost" in ran.stdout
    if name != "python":
        assert json.loads(ran.stdout)["model_version"] == "1.0.0"
