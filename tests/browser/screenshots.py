"""Photograph the page: `python -m tests.browser.screenshots [OUT_DIR] [ARTIFACTS_DIR]` (make screenshots).

Without arguments the pictures of artifacts/ go to screenshots/: every tab on a desktop, a laptop and a phone,
light and dark, in both languages, and the states of the Score tab that a flow passes through.
"""

import re
import sys
import tempfile
from itertools import product
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.conftest import ROOT, running_app, running_browser, settle

VIEWS = {"desktop": (1440, 900, 1), "laptop": (1024, 768, 1), "phone": (390, 844, 2)}
TABS = '#tabs > .tab-wrapper [role="tab"]'


def shoot(page: Page, path: Path) -> None:
    """Save the whole page as it is once nothing moves."""
    settle(page)
    page.screenshot(path=path, full_page=True)
    print(path)


def shoot_tabs(page: Page, out: Path, name: str) -> None:
    """Save every tab."""
    for number in range(page.locator(TABS).count()):
        page.locator(TABS).nth(number).click()
        tab = page.locator(TABS).nth(number).get_attribute("data-tab-id") or str(number)
        shoot(page, out / f"{name}-{re.sub('[^a-z0-9]', '', tab.lower())}.png")


def shoot_states(page: Page, out: Path, name: str) -> None:
    """Save the states of the Score tab: an answer being given, its receipt, an error, the tour."""
    page.locator(TABS).first.click()
    page.click("#flag-wrong")
    page.wait_for_selector("#flag-send")
    shoot(page, out / f"{name}-state-verdict.png")
    page.locator("#flag input[type=radio]").last.check()
    page.locator("#flag-consent input").check()
    page.click("#flag-send")
    page.wait_for_selector(".receipt .committed", timeout=30_000)
    shoot(page, out / f"{name}-state-receipt.png")
    page.locator("#field-2 input").fill("-5")
    page.click("#score")
    page.wait_for_selector("#form-alert .alert")
    shoot(page, out / f"{name}-state-error.png")
    page.click("#tour-start")
    page.wait_for_selector("#tour-1")
    settle(page)
    page.screenshot(path=out / f"{name}-state-tour.png")


def main(out: Path, artifacts: Path) -> None:
    """Photograph every view, scheme and language."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as feedback,
        running_app(artifacts, Path(feedback)) as url,
        running_browser() as browser,
    ):
        for view, scheme, locale in product(VIEWS, ("light", "dark"), ("en-US", "pt-BR")):
            width, height, scale = VIEWS[view]
            context = browser.new_context(
                viewport={"width": width, "height": height},
                device_scale_factor=scale,
                color_scheme=scheme,
                locale=locale,
            )
            page, name = context.new_page(), f"{view}-{scheme}-{locale[:2]}"
            page.goto(url)
            page.wait_for_selector(".decision")
            shoot_tabs(page, out, name)
            if view != "laptop":
                shoot_states(page, out, name)
            context.close()


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    main(*[*named, *[ROOT / "screenshots", ROOT / "artifacts"][len(named) :]][:2])
