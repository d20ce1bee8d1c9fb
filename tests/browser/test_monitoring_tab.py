"""The Monitoring tab in a real browser: what a run left is drawn, a new report appears by itself."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import watch
from tests.unit.monitoring.records import alert, report, write_monitoring

pytestmark = pytest.mark.browser


@pytest.fixture
def place(app_url: str, app_directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield the application's address and its monitoring directory, which is gone afterwards."""
    yield app_url, app_directory / "monitoring"
    shutil.rmtree(app_directory / "monitoring")


def _open(browser: Browser, url: str, width: int, complaints: list[str]) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900})
    watch(page, url, complaints)
    page.clock.install()
    page.goto(url)
    page.wait_for_selector(".decision", timeout=60_000)
    return page


@pytest.mark.parametrize("width", [1440, 390])
def test_a_report_is_drawn_and_the_next_one_appears_by_itself(
    browser: Browser, place: tuple[str, Path], complaints: list[str], width: int
) -> None:
    url, directory = place
    hostile = report(state="alert", alerts=[alert("drift:<img src=x onerror=alert(1)>")])
    write_monitoring(directory, hostile)
    page = _open(browser, url, width, complaints)
    page.get_by_role("tab", name="Monitoring").click()
    glance = page.locator("#monitoring-glance")
    expect(glance).to_contain_text("One alert is firing", timeout=60_000)
    expect(glance).to_contain_text("<img src=x")
    for plot in ("f1", "drift", "curve", "calibration-xgboost", "latency"):
        expect(page.locator(f"#monitoring-{plot} .main-svg").first).to_be_visible(timeout=60_000)
    wide = page.evaluate(
        "[...document.querySelectorAll('.chart .js-plotly-plot')].map((c) => c.getBoundingClientRect().right)"
    )
    assert wide and max(wide) <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#monitoring-column input").click()
    page.get_by_role("option", name="Channel").click()
    expect(page.locator("#monitoring-curve .xtick text").first).to_have_text(
        re.compile("chip", re.IGNORECASE)
    )
    write_monitoring(directory, report(n_predictions=4321))
    page.clock.fast_forward(10_000)  # by itself, but not while a test waits
    expect(glance).to_contain_text("Healthy", timeout=60_000)
    expect(page.locator("#monitoring-curve .xtick text").first).to_have_text(
        re.compile("chip", re.IGNORECASE)
    )
    page.close()


def test_before_the_first_run_the_page_gives_the_command(open_page: Callable[..., Page]) -> None:
    page = open_page(width=390, height=900)
    page.get_by_role("tab", name="Monitoring").click()
    expect(page.locator("#monitoring-glance")).to_contain_text("python -m fraud monitor", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
