"""The Compare tab in a real browser: one slider moves every figure, and what was chosen becomes a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from fraud.models.analysis.held_out import read_held_out
from fraud.models.policy import parse_policy

pytestmark = pytest.mark.browser
SIZES = [(1440, 900, "en-US"), (390, 844, "pt-BR")]
MOVE = """() => {
  const slider = document.getElementById("compare-slider"), took = [];
  for (let at = 0; at <= 100; at++) {
    slider.value = at;
    const began = performance.now();
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    took.push(performance.now() - began);
  }
  return took.sort((a, b) => a - b)[50];
}"""


def open_tab(open_page: Callable[..., Page], size: tuple[int, int, str]) -> Page:
    width, height, locale = size
    page = open_page(locale=locale, width=width, height=height)
    label = "Compare" if locale == "en-US" else "Comparar"
    tab = page.locator("#tabs button[role=tab]:visible", has_text=label)
    if tab.count() == 0:  # on a phone the last tabs may be behind a button
        page.locator("#tabs .overflow-menu > button").click()
        tab = page.locator("#tabs .overflow-dropdown button", has_text=label)
    tab.first.click()
    expect(page.locator("#compare[data-ready=yes]")).to_be_visible(timeout=60_000)
    return page


def said(page: Page, name: str) -> str:
    return page.locator(f'#compare [data-say="{name}"]').first.inner_text()


@pytest.mark.parametrize("size", SIZES)
def test_the_slider_moves_every_figure_at_once(
    open_page: Callable[..., Page], small_bundle: Path, size: tuple[int, int, str]
) -> None:
    page = open_tab(open_page, size)
    held_out = read_held_out(small_bundle)
    released = held_out.confusion("xgboost")
    assert said(page, "xgboost-hit") == str(released["true_positives"])
    names = [f"{m}-{f}" for m in ("random_forest", "xgboost") for f in ("hit", "false", "cost", "daily")]
    before = {name: said(page, name) for name in [*names, "both-n"]}
    dot = page.locator('[data-dot="pr-xgboost"]')
    place = dot.get_attribute("style")
    slider = page.locator("#compare-slider")
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    after = {name: said(page, name) for name in before}
    assert all(after[name] != before[name] for name in before if not name.endswith("hit"))
    assert dot.get_attribute("style") != place
    assert slider.get_attribute("aria-valuetext")
    assert page.evaluate(MOVE) < 100
    page.locator("#compare-released").click()
    assert {name: said(page, name) for name in before} == before
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_one_probability_or_as_many_alerts_for_both(open_page: Callable[..., Page]) -> None:
    page = open_tab(open_page, SIZES[0])
    page.locator("#compare input[value=probability]").check()
    page.locator("#compare-slider").focus()
    page.keyboard.press("ArrowLeft")
    assert said(page, "random_forest-cut") == said(page, "xgboost-cut")
    page.locator("#compare input[value=alerts]").check()
    page.locator("#compare-slider").focus()
    page.keyboard.press("ArrowLeft")
    assert said(page, "random_forest-cut") != said(page, "xgboost-cut")


@pytest.mark.parametrize("size", SIZES)
def test_the_chosen_cut_offs_become_a_policy_file(
    open_page: Callable[..., Page], size: tuple[int, int, str]
) -> None:
    page = open_tab(open_page, size)
    page.locator("#compare input[value=probability]").check()
    page.locator("#compare-slider").focus()
    page.keyboard.press("ArrowRight")
    page.locator("#compare-make").click()
    expect(page.locator("#compare-said")).to_contain_text("XGBoost", timeout=60_000)
    with page.expect_download() as download:
        page.locator("#compare-download").click()
    raw = Path(download.value.path()).read_bytes()
    policy = parse_policy(raw, "policy.json")
    cuts = {thresholds.review for thresholds in policy.thresholds.values()}
    assert len(cuts) == 1
    assert json.loads(raw)["expected"]["xgboost"]["recall"]["low"] is not None


def test_it_is_said_in_the_other_language_where_it_stood(open_page: Callable[..., Page]) -> None:
    page = open_tab(open_page, SIZES[0])
    page.locator("#compare-slider").focus()
    page.keyboard.press("ArrowLeft")
    found = said(page, "xgboost-false")
    page.locator("#language").get_by_text("Português").click()
    expect(page.locator("#compare")).to_contain_text("Onde deve começar um alerta?", timeout=60_000)
    expect(page.locator('#compare [data-say="xgboost-false"]').first).to_have_text(found)
