"""Flag drill: many people flag over HTTP while the app is killed again and again and its Hub keeps failing.

    python -m benchmarks.flag_drill [--flags 10000] [--flaggers 200] [--kills 20] [--only-commits-fail]

The real app.py runs in a process of its own and commits to a Hub on loopback, where every kind of request
fails half of the time: 503, 429, a connection dropped before or after the request took effect, a commit that
takes effect only when the next one arrives. People score and flag, each flag with an Idempotency-Key, and
send again what was not acknowledged: the same flag with the same key, and a new one only where the app says
that it no longer knows the prediction. At the end every receipt that was given must be in the dataset, once,
and no other flag with it. What `read_events` would hide is looked for in the lines of the shards themselves.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import random
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from fraud.feedback.dataset import read_events
from fraud.feedback.events import FlagEvent
from tests.demo import ROOT, Demo, free_port, wait_for
from tests.hub.clients import DATASET, open_repository
from tests.hub.server import WRITE_TOKEN, LoopbackHub

FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"drop": "before"},
    {"drop": "after"},
)
FAILED = (None, 429, 503)
COMMIT = r"/commit/"
SHARE = 0.5
WAIT_S = (0.2, 0.8)


@dataclass(frozen=True)
class Plan:
    """How much of everything, and how long at most; a Hub that fails in commits only takes less time."""

    flags: int
    flaggers: int
    kills: int
    limit_s: float
    only_commits_fail: bool = False
    seed: int = 4


@dataclass
class Progress:
    """What people saw: receipt -> the words that it was given for; what they sent again or scored anew."""

    receipts: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    anew: int = 0


@dataclass(frozen=True)
class Result:
    """What the drill came to.

    `twice` counts event ids, `submitted_twice` answers that are in the dataset as more than one flag,
    `unheard` flags in the dataset whose receipt nobody got.
    """

    acknowledged: int
    flagging_s: float
    kills: int
    kills_on_the_way: int
    kills_after_commit: int
    hub_requests: int
    hub_failed: int
    commits_asked: int
    commits_failed: int
    batches: int
    sent_again: int
    scored_anew: int
    lost: int
    twice: int
    submitted_twice: int
    not_marked: int
    unheard: int
    quarantined: int
    drain_s: float
    wall_s: float


def drill(plan: Plan, home: Path, artifacts: Path = ROOT / "artifacts") -> Result:
    """Run the whole drill in `home`; AssertionError if it does not end in time or the app breaks."""
    started = time.monotonic()
    with LoopbackHub(seed=plan.seed) as hub:
        _let_fail(hub, plan.only_commits_fail)
        demo = Demo(_environment(hub, home, artifacts), home / "demo.log")
        try:
            # On a thread of its own: a browser test of the same process may hold this one's event loop.
            with ThreadPoolExecutor(1) as thread:
                work = thread.submit(lambda: asyncio.run(_flag_and_kill(plan, demo, hub, home)))
                progress, killed, flagging_s = work.result()
            draining = time.monotonic()
            left = max(1.0, plan.limit_s - (draining - started))
            wait_for(lambda: demo.get("/readyz")["backlog"] == 0, left)
            demo.stop()
            drain_s = time.monotonic() - draining
        finally:
            if demo.process.poll() is None:
                demo.kill()
        hub.faults.clear()
        asked = list(hub.log)
        lost, twice, submitted_twice, unheard, quarantined, batches = _compare(hub, home, progress)
    assert "Traceback" not in (home / "demo.log").read_text(), (home / "demo.log").read_text()[-5_000:]
    failed = [a for a in asked if a.status in FAILED]
    commits = [a for a in asked if a.method == "POST" and COMMIT in a.url]
    return Result(
        acknowledged=len(progress.receipts),
        flagging_s=flagging_s,
        kills=len(killed),
        kills_on_the_way=sum(sealed for sealed, _ in killed),
        kills_after_commit=sum(landed for _, landed in killed),
        hub_requests=len(asked),
        hub_failed=len(failed),
        commits_asked=len(commits),
        commits_failed=sum(a.status in FAILED for a in commits),
        batches=batches,
        sent_again=progress.repeated,
        scored_anew=progress.anew,
        lost=lost,
        twice=twice,
        submitted_twice=submitted_twice,
        not_marked=_not_marked(home, progress),
        unheard=unheard,
        quarantined=quarantined,
        drain_s=drain_s,
        wall_s=time.monotonic() - started,
    )


def _let_fail(hub: LoopbackHub, only_commits: bool) -> None:
    """Let half of the requests fail: one of n independent faults, with a share of 1 - 0.5 ** (1 / n) each."""
    kinds = {COMMIT: (*FAULTS, {"drop": "late"}), rf"^(?!.*{COMMIT})": FAULTS}
    if only_commits:
        kinds = {COMMIT: kinds[COMMIT]}
        # Few as they are, one at least takes effect without its answer.
        hub.fault("POST", COMMIT, drop="after")
    for path, faults in kinds.items():
        share = 1 - (1 - SHARE) ** (1 / len(faults))
        for fault in faults:
            hub.fault("[A-Z]+", path, times=None, share=share, **fault)


def _environment(hub: LoopbackHub, home: Path, artifacts: Path) -> dict[str, str]:
    return os.environ | {
        "FRAUD_PORT": str(free_port()),
        "FRAUD_ARTIFACTS_DIR": str(artifacts),
        "FRAUD_REGISTRY_DIR": str(home / "registry"),
        "FRAUD_FEEDBACK_DIR": str(home / "feedback"),
        "FRAUD_DATASET_REPO": DATASET,
        "FRAUD_HUB_TOKEN": WRITE_TOKEN,
        "FRAUD_HUB_ENDPOINT": hub.url,
        "FRAUD_COMMIT_SECONDS": "0.2",
        "FRAUD_REPORTER_LIMIT": "off",
        "FRAUD_ADDRESS_LIMIT": "off",
    }


async def _flag_and_kill(
    plan: Plan, demo: Demo, hub: LoopbackHub, home: Path
) -> tuple[Progress, list[tuple[bool, bool]], float]:
    """Return what people saw, what each kill found, and the seconds until the last flag was acknowledged."""
    progress = Progress()
    started = time.monotonic()
    limits = httpx.Limits(max_connections=plan.flaggers, max_keepalive_connections=plan.flaggers)
    async with httpx.AsyncClient(base_url=demo.url, timeout=30, limits=limits, trust_env=False) as client:
        examples = [e["transaction"] for e in (await client.get("/v1/examples")).json()]
        todo = iter(range(plan.flags))
        people = [_flagger(f"person-{n}", todo, examples, client, progress) for n in range(plan.flaggers)]
        async with asyncio.timeout(plan.limit_s), asyncio.TaskGroup() as group:
            killing = group.create_task(_kill_now_and_then(plan, demo, hub, home, progress))
            flagging = [group.create_task(person) for person in people]
            await asyncio.wait(flagging)
            flagging_s = time.monotonic() - started
    return progress, killing.result(), flagging_s


async def _flagger(
    name: str, todo: Any, examples: Sequence[Any], client: httpx.AsyncClient, progress: Progress
) -> None:
    """Score and flag one transaction after the other, each until it is acknowledged."""
    for number in todo:
        words = f"{name} about {number}"
        transaction = examples[number % len(examples)]
        flag: dict[str, Any] | None = None
        receipt = None
        while receipt is None:
            if flag is None:
                flag = await _scored_flag(words, name, transaction, client)
            if flag is not None:
                flag, receipt = await _sent(flag, client, progress)
            if receipt is None:
                await asyncio.sleep(random.uniform(*WAIT_S))  # noqa: S311 - no secret
        assert receipt not in progress.receipts, "two flags were given one receipt"
        progress.receipts[receipt] = words


async def _scored_flag(
    words: str, name: str, transaction: Any, client: httpx.AsyncClient
) -> dict[str, Any] | None:
    """Return a flag on a new score with a key of its own, or None if nothing was scored."""
    try:
        answer = await client.post("/v1/score", json={"transaction": transaction})
    except httpx.TransportError:
        return None
    answer.raise_for_status()
    scored = answer.json()
    alerted = any(score["decision"] != "approve" for score in scored["scores"].values())
    body = {
        "prediction_id": scored["prediction_id"],
        "verdict": "right" if alerted else "wrong",
        "label": "fraud",
        "comment": words,
        "consent": True,
        "reporter": name,
    }
    return {"json": body, "headers": {"Idempotency-Key": str(uuid.uuid4())}}


async def _sent(
    flag: dict[str, Any], client: httpx.AsyncClient, progress: Progress
) -> tuple[dict[str, Any] | None, str | None]:
    """Return (what to send next, the receipt): the same flag again if there was no answer."""
    try:
        answer = await client.post("/v1/flags", **flag)
    except httpx.TransportError:
        progress.repeated += 1
        return flag, None
    # Scored before the kill: the new process has never seen the prediction, and knows no answer to the key.
    assert answer.status_code in (201, 404), answer.text
    if answer.status_code == 404:
        progress.anew += 1
        return None, None
    return None, str(answer.json()["receipt_id"])


async def _kill_now_and_then(
    plan: Plan, demo: Demo, hub: LoopbackHub, home: Path, progress: Progress
) -> list[tuple[bool, bool]]:
    """Kill the app at moments spread over the run, and start it again; people keep trying meanwhile."""
    chance = random.Random(plan.seed)  # noqa: S311 - reproducible, no secret
    found: list[tuple[bool, bool]] = []
    for moment in sorted(chance.sample(range(plan.flags), plan.kills)):
        while len(progress.receipts) < moment:
            await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0.0, 1.0))
        demo.kill()
        found.append(_after_kill(hub, home))
        await asyncio.to_thread(demo.start)
    return found


def _after_kill(hub: LoopbackHub, home: Path) -> tuple[bool, bool]:
    """Return whether a batch was on its way at the kill, and whether it had reached the dataset already."""
    found = _ask(home, "SELECT batch_id FROM batches WHERE revision IS NULL")
    repo = hub.repos.get(("dataset", DATASET))
    paths = repo.revision("main").tree if repo else {}
    landed = any(batch_id.removeprefix("b_") in path for batch_id in found for path in paths)
    return bool(found), landed


def _ask(home: Path, query: str) -> set[str]:
    """Return the first column, from a copy: looking at the files themselves would already recover them."""
    with tempfile.TemporaryDirectory(prefix="fraud-outbox-") as folder:
        copy = shutil.copytree(home / "feedback" / "outbox", Path(folder) / "outbox")
        with contextlib.closing(sqlite3.connect(copy / "outbox.sqlite3")) as database:
            return {row[0] for row in database.execute(query)}


def _compare(hub: LoopbackHub, home: Path, progress: Progress) -> tuple[int, int, int, int, int, int]:
    """Return receipts lost, ids written twice, answers kept twice, flags unheard of, bad lines, shards."""
    repository = open_repository(hub.url, home / "reader")
    head = repository.head()
    assert head is not None
    events, quarantined = read_events(repository, head)
    flags = {event.event_id: event.flag.comment for event in events if isinstance(event, FlagEvent)}
    snapshot = repository.snapshot(head)
    shards = sorted(snapshot.glob("data/*.jsonl"))
    lines = Counter(json.loads(line)["event_id"] for path in shards for line in path.open(encoding="utf-8"))
    twice = sum(count > 1 for count in lines.values())
    return (
        len(progress.receipts.keys() - flags.keys()),
        twice,
        sum(count > 1 for count in Counter(flags.values()).values()),
        len(flags.keys() - progress.receipts.keys()),
        len(quarantined),
        len(shards),
    )


def _not_marked(home: Path, progress: Progress) -> int:
    """Return how many receipts the outbox does not call committed."""
    committed = _ask(
        home,
        "SELECT receipt_id FROM submissions JOIN batches USING (batch_id)"
        " WHERE revision IS NOT NULL AND payload IS NULL",
    )
    return len(progress.receipts.keys() - committed)


def report(plan: Plan, result: Result) -> None:
    """Print the table."""
    command = f"--flags {plan.flags} --flaggers {plan.flaggers} --kills {plan.kills}"
    command += " --only-commits-fail" * plan.only_commits_fail
    rows = {
        "concurrent flaggers": f"{plan.flaggers:,}",
        "flags acknowledged": f"{result.acknowledged:,}",
        "flags/s, restarts included": f"{result.acknowledged / result.flagging_s:,.0f}",
        "SIGKILLs of the app": f"{result.kills:,}",
        "of them with a batch on its way to the Hub": f"{result.kills_on_the_way:,}",
        "of them with that batch committed there, unknown to the app": f"{result.kills_after_commit:,}",
        "Hub requests": f"{result.hub_requests:,}",
        "Hub requests failed": f"{result.hub_failed:,} ({result.hub_failed / result.hub_requests:.0%})",
        "Hub commit requests failed": f"{result.commits_failed:,} of {result.commits_asked:,}",
        "batches in the dataset": f"{result.batches:,}",
        "times a flag was sent again with its key, for want of an answer": f"{result.sent_again:,}",
        "flags given up for a new score: the restarted app knew neither key nor prediction": (
            f"{result.scored_anew:,}"
        ),
        "**lost**: acknowledged and not in the dataset": f"**{result.lost:,}**",
        "**duplicated**: ids with more than one line in the dataset": f"**{result.twice:,}**",
        "**double submissions**: answers in the dataset as more than one flag": (
            f"**{result.submitted_twice:,}**"
        ),
        "acknowledged and not marked committed in the outbox": f"{result.not_marked:,}",
        "lines that are no event": f"{result.quarantined:,}",
        "flags in the dataset whose receipt nobody got": f"{result.unheard:,}",
        "last flag to empty backlog and exit, s": f"{result.drain_s:.1f}",
        "wall time, s": f"{result.wall_s:.0f}",
    }
    print("# Flag drill\n")
    print(f"`python -m benchmarks.flag_drill {command}`\n")
    packages = ("fastapi", "gradio", "httpx", "huggingface_hub", "uvicorn")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions};\n"
        f"{platform.machine()}, {os.cpu_count()} cores for the app, the flaggers, the Hub and other work.\n"
    )
    print("| | |\n|---|---:|")
    for name, figure in rows.items():
        print(f"| {name} | {figure} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flags", type=int, default=10_000)
    parser.add_argument("--flaggers", type=int, default=200)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--limit-s", type=float, default=900)
    parser.add_argument("--only-commits-fail", action="store_true", help="the Hub's other answers are sound")
    options = parser.parse_args()
    plan = Plan(options.flags, options.flaggers, options.kills, options.limit_s, options.only_commits_fail)
    with tempfile.TemporaryDirectory(prefix="fraud-drill-") as folder:
        result = drill(plan, Path(folder))
    report(plan, result)
    bad = (result.lost, result.twice, result.submitted_twice, result.not_marked, result.quarantined)
    if any(bad) or result.unheard:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
