"""The Compare tab's figures in a real browser: drawn when it is opened, on a desk and on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
_CLEAR = """(plot) => {
  const box = (one) => one.getBoundingClientRect(), whole = box(plot);
  const title = box(plot.querySelector(".annotation-text, .xtitle"));
  const numbers = [...plot.querySelectorAll(".xtick text")].map(box);
  const meets = (one) => one.right > title.left && one.left < title.right && one.bottom > title.top + 1;
  return numbers.length > 1 && !numbers.some(meets) && title.left >= whole.left && title.right <= whole.right
    && title.bottom <= whole.bottom;
}"""
"""Whether an axis's title stands apart from its numbers, and wholly inside the figure."""


@pytest.mark.parametrize("width", [1440, 390])
def test_figures_are_drawn_and_none_is_wider_than_the_page(
    open_page: Callable[..., Page], width: int
) -> None:
    page = open_page("pt-BR", width)
    assert page.locator("#models-calibration .js-plotly-plot").count() == 0  # nothing before somebody looks
    tab = page.locator("#tabs button[role=tab]:visible", has_text="Comparar")
    if tab.count() == 0:  # on a phone the last tabs are behind a button
        page.locator("#tabs .overflow-menu > button").click()
        tab = page.locator("#tabs .overflow-dropdown button", has_text="Comparar")
    tab.first.click()
    for name in ("typology", "importance-xgboost", "rounds-loss", "calibration"):
        plot = page.locator(f"#models-{name} .js-plotly-plot")
        expect(plot).to_be_visible(timeout=60_000)
    for name in ("importance-random_forest", "importance-xgboost"):
        assert page.locator(f"#models-{name} .js-plotly-plot").evaluate(_CLEAR), name
    expect(page.locator("#models-calibration h3")).to_contain_text("Pontuação")
    assert page.locator("#models-confusion-xgboost").count() == 0  # the slider shows these at every cut-off
    assert page.evaluate("document.documentElement.scrollWidth") <= width
