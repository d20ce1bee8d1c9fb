"""How long people wait for the page: `python -m benchmarks.ui_load [--users 50] [--seconds 20] [--save]`.

Starts the real app.py on a free loopback port and measures, in this order: from the start of the process to
ready; in Chromium, a first visit's first contentful paint and when both answers are there; from the click on
the button to both answers shown, one user; and with many users at once, each with a session of its own over
the calls that the page makes, from the click to the last byte of the answer. Prints a table; --save also
writes it to benchmarks/results/ui_load.md.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page

from tests.browser.conftest import ROOT, running_browser
from tests.demo import free_port

RESULT = ROOT / "benchmarks/results/ui_load.md"
_CLICK = """async (amount) => {
  const input = document.querySelector('#field-2 input'), shown = () =>
    [...document.querySelectorAll('.answer')].map((one) => one.innerHTML).join();
  input.value = amount;
  input.dispatchEvent(new Event('input', {bubbles: true}));
  await new Promise(requestAnimationFrame);
  const before = document.getElementById('verdict').innerHTML, start = performance.now();
  document.getElementById('score').click();
  while (document.getElementById('verdict').innerHTML === before) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - start > 20000) throw new Error('no answer');
  }
  await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    promise: str
    found: str


def percentiles(seconds: Sequence[float]) -> str:
    """Return median, 95th percentile and maximum in milliseconds."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    middle = statistics.median(ordered)
    return f"{middle * 1e3:.0f} / {p95 * 1e3:.0f} / {ordered[-1] * 1e3:.0f} ms (n={len(ordered)})"


def start(port: int, feedback: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start app.py; return it and the seconds until it was ready."""
    environment = os.environ | {
        "FRAUD_PORT": str(port),
        "FRAUD_FEEDBACK_DIR": str(feedback),
        "FRAUD_REGISTRY_DIR": str(feedback / "registry"),
    }
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment)
    while time.perf_counter() - begun < 120:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200:
                return process, time.perf_counter() - begun
        except httpx.HTTPError:
            assert process.poll() is None, "app.py ended"
            time.sleep(0.02)
    raise AssertionError("app.py did not become ready")


def first_visit(browser: Browser, url: str) -> tuple[float, float, Page]:
    """Return seconds from navigation to the first contentful paint and to both answers, and the page."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script("""
        new MutationObserver((_, observer) => {
          if (document.querySelectorAll('.answer .signed').length === 2 && document.getElementById('score')) {
            window.usable = performance.now();
            observer.disconnect();
          }
        }).observe(document, {childList: true, subtree: true});
    """)
    page.goto(url)
    page.wait_for_function("window.usable")
    page.wait_for_timeout(500)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return paint / 1e3, page.evaluate("window.usable") / 1e3, page


def clicks(page: Page, n: int) -> list[float]:
    """Return seconds from click to both answers, of n clicks with another amount each."""
    for amount in (11, 12):
        page.evaluate(_CLICK, str(amount))  # the first fetches what the browser will keep
    return [page.evaluate(_CLICK, f"{20 + i}.37") / 1e3 for i in range(n)]


async def crowd(url: str, users: int, seconds: float, pause: float) -> tuple[list[float], list[str]]:
    """Return how long each answer took, and what went wrong, of users who pause `pause` s on average."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        config = (await client.get("config")).json()
        took: list[float] = []
        wrong: list[str] = []
        until = time.perf_counter() + seconds
        visits = [_visit(client, config, until, pause, took, wrong, seed) for seed in range(users)]
        await asyncio.gather(*visits)
    return took, wrong


async def _visit(
    client: httpx.AsyncClient,
    config: dict[str, Any],
    until: float,
    pause: float,
    took: list[float],
    wrong: list[str],
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 (pauses, not secrets)
    number, values, amount = _scoring(config)
    session = f"crowd{seed}"
    await asyncio.sleep(chance.uniform(0, max(pause, 0.5)))
    while time.perf_counter() < until:
        values[amount] = round(chance.uniform(5, 400), 2)
        begun = time.perf_counter()
        try:
            body = {"fn_index": number, "data": values, "session_hash": session}
            (await client.post("gradio_api/queue/join", json=body)).raise_for_status()
            if not await _answered(client, session):
                wrong.append("an error instead of an answer")
        except httpx.HTTPError as error:
            wrong.append(repr(error))
        took.append(time.perf_counter() - begun)
        await asyncio.sleep(chance.uniform(0, 2 * pause))


async def _answered(client: httpx.AsyncClient, session: str) -> bool:
    async with client.stream("GET", f"gradio_api/queue/data?session_hash={session}") as lines:
        async for line in lines.aiter_lines():
            if '"process_completed"' in line:
                return '"success":true' in line.replace(" ", "") and "fraud" in line
    return False


def _scoring(config: dict[str, Any]) -> tuple[int, list[Any], int]:
    """Return the button's event, the values that the page would send with it, and where the amount is."""
    by_id = {component["id"]: component["props"] for component in config["components"]}
    button = next(i for i, one in by_id.items() if one.get("elem_id") == "score")
    event = next(d for d in config["dependencies"] if [button, "click"] in d["targets"] and d["backend_fn"])
    inputs = [by_id[i] for i in event["inputs"]]
    amount = next(i for i, one in enumerate(inputs) if one.get("elem_id") == "field-2")
    return event["id"], [one.get("value") for one in inputs], amount


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clicks", type=int, default=40)
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as feedback:
        process, ready = start(port, Path(feedback))
        try:
            with running_browser() as browser:
                paint, usable, page = first_visit(browser, url)
                one = clicks(page, asked.clicks)
            hasty, hasty_wrong = asyncio.run(crowd(url, asked.users, asked.seconds, 0.0))
            calm, calm_wrong = asyncio.run(crowd(url, asked.users, asked.seconds, 3.0))
        finally:
            process.terminate()
            process.wait(timeout=60)
    rows = [
        Row("`python app.py` to ready", "< 8 s", f"{ready:.1f} s"),
        Row("first visit, first contentful paint", "measured", f"{paint:.2f} s"),
        Row("first visit, form and both answers there", "measured", f"{usable:.2f} s"),
        Row("click to both answers shown, one user", "p95 < 300 ms", percentiles(one)),
        Row(
            f"{asked.users} users, 3 s between clicks",
            "p95 < 2 s",
            f"{percentiles(calm)}, {len(calm_wrong)} errors",
        ),
        Row(
            f"{asked.users} users who never pause",
            "p95 < 2 s",
            f"{percentiles(hasty)}, {len(hasty_wrong)} errors",
        ),
    ]
    lines = ["| What | Promise | Median / p95 / maximum |", "| --- | --- | --- |"]
    lines += [f"| {row.what} | {row.promise} | {row.found} |" for row in rows]
    command = "Command: `python -m benchmarks.ui_load --save`."
    note = f"{os.cpu_count()} cores, load before the run {load:.1f}. {command}"
    table = "\n".join(["# How long people wait for the page", "", note, "", *lines, ""])
    print(table)
    for problem in {*hasty_wrong, *calm_wrong}:
        print(problem, file=sys.stderr)
    if asked.save:
        RESULT.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
