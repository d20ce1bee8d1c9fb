"""Photograph the page: `python -m tests.browser.screenshots [OUT_DIR] [ARTIFACTS_DIR]`.

Without arguments the pictures of artifacts/ go to screenshots/.
"""

import sys
import tempfile
from itertools import product
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.conftest import ROOT, running_app, running_browser

VIEWS = {"desktop": (1440, 900, 1), "phone": (390, 844, 2)}


def shoot(page: Page, url: str, path: Path) -> None:
    """Save the whole page as it is once both answers and all figures are drawn."""
    page.goto(url)
    page.wait_for_selector(".decision")
    page.wait_for_selector(".reasons .annotation-text")
    page.wait_for_timeout(800)
    page.screenshot(path=path, full_page=True)
    print(path)


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
            shoot(context.new_page(), url, out / f"{view}-{scheme}-{locale[:2]}.png")
            context.close()


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    main(*[*named, *[ROOT / "screenshots", ROOT / "artifacts"][len(named) :]][:2])
