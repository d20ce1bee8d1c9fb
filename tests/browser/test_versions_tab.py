"""The Versions tab in a real browser: versions, comparison, promotion with a confirmation, and back again."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from tests.browser.conftest import REVIEW_PASSWORD, running_app, watch
from tests.demo import wait_for
from tests.releases import gate_report, make_release

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(small_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run the application over a registry with two versions; yield its address, and the registry's."""
    feedback = tmp_path_factory.mktemp("versions")
    registry = ModelRegistry(LocalRepository(feedback / "registry"))
    registry.ensure_champion(small_bundle)
    report = gate_report("1.0.0", "1.0.1")
    made = make_release(
        small_bundle, feedback / "made", "1.0.1", champion="1.0.0", gain=0.01, n_labels=9, report=report
    )
    registry.record(made, "second")
    with running_app(small_bundle, feedback) as url:
        yield url, feedback / "registry"


def _open(browser: Browser, url: str, width: int, complaints: list[str], locale: str = "en-US") -> Page:
    page = browser.new_page(viewport={"width": width, "height": 900}, locale=locale)
    watch(page, url, complaints)
    page.clock.install()
    page.goto(f"{url}?tab=versions")
    expect(page.locator("#versions-timeline li").first).to_be_visible(timeout=60_000)
    return page


def _fits(page: Page, width: int) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth") <= width)


def _serves(url: str) -> str:
    return str(httpx.get(f"{url}v1/version", timeout=60).json()["version"])


@pytest.mark.parametrize("width", [1440, 390])
def test_a_maintainer_promotes_with_a_confirmation_and_rolls_back(
    browser: Browser, place: tuple[str, Path], complaints: list[str], width: int
) -> None:
    url, directory = place
    registry = ModelRegistry(LocalRepository(directory))
    registry.promote("1.0.0")
    registry.set_challenger("1.0.1", who="retrain@<img src=x onerror=alert(1)>")
    page = _open(browser, url, width, complaints)
    serving, said = page.locator("#versions-serving"), page.locator("#versions-said")
    expect(serving).to_contain_text("Version 1.0.0 serves", timeout=60_000)
    expect(page.locator("#versions-challenger")).to_contain_text("1.0.1 passed", timeout=60_000)
    expect(page.locator("#versions-approve")).to_be_hidden()
    assert _fits(page, width)
    page.locator("#versions-password input").fill(REVIEW_PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#versions-approve").click()
    typed, confirm = page.locator("#versions-typed input"), page.locator("#versions-confirm")
    expect(typed).to_be_focused(timeout=60_000)
    expect(page.locator("#versions-sure")).to_contain_text("in place of 1.0.0")
    assert _fits(page, width)
    typed.fill("1.0.0")
    confirm.click()
    expect(said.locator("[role=alert]")).to_contain_text("not 1.0.1")
    assert _serves(url) == "1.0.0"
    typed.fill("1.0.1")
    page.keyboard.press("Enter")
    expect(serving).to_contain_text("Version 1.0.1 serves", timeout=60_000)
    expect(said.locator("[role=status]")).to_contain_text("1.0.1")
    assert _serves(url) == "1.0.1"

    page.locator("#versions-rollback").click()
    expect(typed).to_be_focused(timeout=60_000)
    typed.fill("1.0.0")
    confirm.click()
    expect(serving).to_contain_text("Version 1.0.0 serves", timeout=60_000)
    expect(said.locator("[role=status]")).to_contain_text("Rolled back: 1.0.0")
    assert _serves(url) == "1.0.0" and _fits(page, width)
    page.close()


def test_two_versions_are_compared_and_the_gate_report_opens(
    browser: Browser, place: tuple[str, Path], complaints: list[str]
) -> None:
    url, _ = place
    page = _open(browser, url, 390, complaints)
    difference = page.locator("#versions-difference")
    for side, version in (("old", "1.0.0"), ("new", "1.0.1")):
        page.locator(f"#versions-{side} input").click()
        page.get_by_role("option", name=re.compile(re.escape(version))).click()
    expect(difference).to_contain_text("+0.010")
    expect(difference).to_contain_text("same held-out window")
    assert _fits(page, 390)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="of version 1.0.1").click()
    expect(opened.value.locator("h1")).to_contain_text("challenger 1.0.1")
    opened.value.close()
    page.close()


def test_in_portuguese_what_somebody_else_decides_appears_by_itself(
    browser: Browser, place: tuple[str, Path], complaints: list[str]
) -> None:
    url, directory = place
    registry = ModelRegistry(LocalRepository(directory))
    registry.promote("1.0.0")
    page = _open(browser, url, 390, complaints, "pt-BR")
    serving = page.locator("#versions-serving")
    expect(serving).to_contain_text("A versão 1.0.0 está em uso", timeout=60_000)
    expect(page.locator("#versions-timeline")).to_contain_text("aprovada contra 1.0.0")
    expect(page.locator("#versions-difference")).to_contain_text("Precisão média")
    assert _fits(page, 390)
    expect(page.get_by_role("tab", name="Versões")).to_be_in_viewport(ratio=1)  # the address chose it
    registry.promote("1.0.1", who="cli@elsewhere")
    wait_for(lambda: _serves(url) == "1.0.1")
    page.clock.fast_forward(5_000)  # by itself, but not while a test waits
    expect(serving).to_contain_text("A versão 1.0.1 está em uso", timeout=60_000)
    expect(serving).to_contain_text("linha de comando em elsewhere")
    registry.promote("1.0.0")
    page.close()
