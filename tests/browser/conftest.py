"""The real application in a process of its own, and a browser that may talk to nobody else."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
REVIEW_PASSWORD = "correct horse battery"  # noqa: S105 (of this test alone)
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=60_000)  # a busy machine is no defect


@contextmanager
def running_app(artifacts: Path, feedback: Path) -> Iterator[str]:
    """Start app.py on a free loopback port, yield its address, stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "FRAUD_PORT": str(port),
        "FRAUD_ARTIFACTS_DIR": str(artifacts),
        "FRAUD_REGISTRY_DIR": str(feedback / "registry"),
        "FRAUD_FEEDBACK_DIR": str(feedback),
        "FRAUD_COMMIT_SECONDS": "0.2",
        "FRAUD_REFRESH_SECONDS": "0.2",
        "FRAUD_REVIEW_PASSWORD": REVIEW_PASSWORD,
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    log = feedback / "app.log"
    feedback.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}/"
    try:
        _await_answer(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 (loopback)
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
    raise AssertionError(f"the application did not answer: {log.read_text()}")


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


REST = """() => new Promise((done) => {
  let since = performance.now();
  const look = () => {
    const asking = document.documentElement.classList.contains("asking");
    const moving = document.getAnimations().some((one) => one.playState === "running");
    if (asking || moving) since = performance.now();
    performance.now() - since < 250 ? setTimeout(look, 20) : done();
  };
  look();
})"""


def settle(page: Page) -> None:
    """Wait until for a quarter of a second nothing has been asked of the server and nothing has moved."""
    page.evaluate(REST)


def watch(page: Page, url: str, complaints: list[str]) -> None:
    """Note whatever a page logs as an error, raises, or asks of anybody but the application at `url`."""
    page.set_default_timeout(60_000)
    own = (url, url.replace("http", "ws", 1), "data:", "blob:")

    def asked(address: str) -> None:
        if not address.startswith(own):
            complaints.append(f"asked for {address}")

    def logged(message: ConsoleMessage) -> None:
        # A page that is loaded again gives up what it was asking for, and Gradio logs that sometimes.
        if message.type == "error" and not message.text.startswith("AbortError: signal is aborted"):
            complaints.append(f"logged {message.text}")

    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda websocket: asked(websocket.url))
    page.on("console", logged)
    page.on("pageerror", lambda error: complaints.append(f"raised {error}"))


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Collect what pages given to `watch` complain of; afterwards there may be nothing."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture(scope="session")
def app_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what `app_url`'s application keeps: a test may add to it what it takes away afterwards."""
    return tmp_path_factory.mktemp("feedback")


@pytest.fixture(scope="session")
def app_url(small_bundle: Path, app_directory: Path) -> Iterator[str]:
    with running_app(small_bundle, app_directory) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that gives one context for each set of options: its cache spares reloading."""
    opened: dict[tuple[str, int, int, str], BrowserContext] = {}

    def context(locale: str, width: int, height: int, scheme: str) -> BrowserContext:
        key = (locale, width, height, scheme)
        if key not in opened:
            size = {"width": width, "height": height}
            opened[key] = browser.new_context(locale=locale, viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
            opened[key].set_default_timeout(60_000)
        return opened[key]

    yield context
    for one in opened.values():
        one.close()


@pytest.fixture
def open_page(contexts: Callable[..., BrowserContext], app_url: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the page; afterwards nothing may have gone wrong or outside."""
    pages: list[Page] = []
    complaints: list[str] = []

    def open_it(locale: str = "en-US", width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        context = contexts(locale, width, height, scheme)
        context.clear_cookies()  # a language chosen by one test is not the next one's
        page = context.new_page()
        pages.append(page)
        watch(page, app_url, complaints)
        page.goto(app_url)
        page.wait_for_selector(".decision", timeout=60_000)
        return page

    yield open_it
    for page in pages:
        # What one test let the page remember (its language, its table) is not the next one's.
        page.evaluate("localStorage.clear()")
        page.close()
    assert complaints == []
