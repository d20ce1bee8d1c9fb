"""One monitoring run: the dataset at a revision in; a report, alerts and a line of the ledger out."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fraud.durable import write_text
from fraud.errors import StorageError
from fraud.feedback.checking import check_blocks
from fraud.feedback.dataset import CheckBlocks, scan_tables
from fraud.feedback.trust import TrustPolicy
from fraud.monitoring.alerts import Alert, AlertPolicy, Finding, Transition, advance, replaced
from fraud.monitoring.checks import findings_of, state_of
from fraud.monitoring.examining import Examination, Expectation, MonitoringPolicy, examine
from fraud.monitoring.ledger import (
    REPORT_JSON,
    Ledger,
    RunLine,
    locked,
    read_ledger,
    write_ledger,
)
from fraud.monitoring.observing import NEEDED, Beginning, ParseLines, observe, parse_here
from fraud.monitoring.page import page
from fraud.monitoring.report import prometheus_text, report_of, trend_figures
from fraud.repositories.port import VersionedRepository

REPORT_HTML: Final = "report.html"
METRICS: Final = "metrics.prom"
_YEAR: Final = timedelta(weeks=52)
"""Back to the window's counterpart a year before: whole weeks, so that weekdays stay."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads the log: checks its lines, and parses the transactions in them."""

    check: CheckBlocks = check_blocks
    parse: ParseLines = parse_here


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to, and where its report is.

    `repeated`: an earlier run had looked at the very same, and its findings stand.
    """

    state: str
    report: dict[str, Any]
    transitions: tuple[Transition, ...]
    repeated: bool
    written_to: Path


def monitor(
    *,
    expected: Expectation,
    dataset: VersionedRepository,
    revision: str | None,
    until: datetime,
    directory: Path,
    out: Path,
    policy: MonitoringPolicy,
    trust: TrustPolicy,
    language: str = "en",
    simulated: bool = False,
    notify: Callable[[Sequence[Transition]], None] = lambda transitions: None,
    reading: Reading = Reading(),
) -> RunOutcome:
    """Look at the window that ends at `until` and write report.html, report.json and metrics.prom to `out`.

    Idempotent: the same window, dataset revision, release and policy give the findings that are there, and
    move no alert. A window before the newest one that was looked at moves no alert either, and its report
    goes to a directory of its own in `out`, named by its end, without metrics: what is scraped and shown as
    now stays the newest. Labels are those known at `until`, whenever the run is made.

    Parameters
    ----------
    revision : dataset revision, sha or tag; None takes the head, which may not exist yet
    directory : where the ledger is kept
    simulated : the dataset is a simulated production, and the report says so
    notify : told of alerts that begin or cease to fire, before the run counts as made; may be told twice
    reading : who reads the log; what is read is the same

    Raises
    ------
    NotFound
        There is no such revision.
    StorageError
        Another run is at work, or a file cannot be written.
    """
    sha = dataset.resolve(revision) if revision is not None else dataset.head()
    until_ms = (until - _EPOCH) // timedelta(milliseconds=1)
    with locked(directory):
        ledger = read_ledger(directory)
        newest = ledger.newest(policy.window_ms)
        late = newest is not None and until_ms < newest.until_ms
        where = out / f"{until:%Y-%m-%dT%H%M%SZ}" if late else out
        ours = policy_digest(policy, trust)
        key = RunLine(
            until_ms, policy.window_ms, sha, expected.version, expected.manifest_digest, "", {}, ours
        )
        done = ledger.find(key)
        known = None if done is None else _read_report(where / REPORT_JSON, key)
        if done is not None and known is not None:
            # The pages are drawn again: in this language, and whole again where one was lost.
            _write(where, known, _up_to(ledger, key), expected, language, metrics=not late)
            return RunOutcome(done.state, known, (), repeated=True, written_to=where)
        examination, labelled, unused = _examine(expected, dataset, sha, until, policy, trust, reading)
        findings = findings_of(examination)
        kept = ledger.alerts.get(policy.window_ms, {})
        alerts, transitions = _moved(kept, findings, key, newest, policy.alerts)
        state = state_of(examination, findings, alerts)
        report = report_of(
            examination,
            findings,
            alerts,
            state,
            dataset_revision=sha,
            n_labels=labelled,
            unused=unused,
            simulated=simulated,
            policy_digest=ours,
        )
        line = RunLine(
            until_ms,
            policy.window_ms,
            sha,
            expected.version,
            expected.manifest_digest,
            state,
            trend_figures(report),
            ours,
        )
        after = ledger.with_run(line, kept if late else alerts)
        _write(where, report, _up_to(after, line), expected, language, metrics=not late)
        notify(transitions)
        write_ledger(directory, after)
    return RunOutcome(state, report, transitions, repeated=False, written_to=where)


def _moved(
    kept: Mapping[str, Alert],
    findings: Mapping[str, Finding],
    run: RunLine,
    newest: RunLine | None,
    policy: AlertPolicy,
) -> tuple[dict[str, Alert], tuple[Transition, ...]]:
    """Return the alerts after a run and what there is to tell, `newest` being the newest run before it."""
    if newest is not None and run.until_ms < newest.until_ms:
        # Looked at afterwards: it says what it found, at once because nothing can last, and nobody is told.
        return advance({}, findings, run.until_ms, replace(policy, for_days=0.0))[0], ()
    if newest is not None and newest.manifest_digest != run.manifest_digest:
        alerts, found = advance({}, findings, run.until_ms, policy)
        return alerts, (*replaced(kept, run.until_ms), *found)
    return advance(kept, findings, run.until_ms, policy)


def _up_to(ledger: Ledger, run: RunLine) -> list[RunLine]:
    """Return the runs that a report draws over time: as long as its own, and none later."""
    return [r for r in ledger.runs if r.until_ms <= run.until_ms and r.window_ms == run.window_ms]


def policy_digest(*policies: Any) -> str:
    """Return what stands for policies (frozen dataclasses) where runs are compared: a hash of the fields."""
    settings = [asdict(policy) for policy in policies]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _examine(
    expected: Expectation,
    dataset: VersionedRepository,
    revision: str | None,
    until: datetime,
    policy: MonitoringPolicy,
    trust: TrustPolicy,
    reading: Reading,
) -> tuple[Examination, int, dict[str, int]]:
    # One table at a time: the log may be years long, and only some weeks of it are looked at.
    tables = (
        () if revision is None else (t.select(NEEDED) for t in scan_tables(dataset, revision, reading.check))
    )
    length = timedelta(days=policy.window_days)
    delay = timedelta(days=expected.profile.features.label_delay_days)
    stretches = {
        "window": (until - length, until),
        "matured": (until - delay - length, until - delay),
        "like_period": (until - length - _YEAR, until - _YEAR),
    }
    baseline = Beginning(expected.version, expected.manifest_digest, policy.baseline_days, until - length)
    found = observe(
        tables,
        expected.profile,
        stretches,
        as_of=until,
        trust=trust,
        beginnings={"baseline": baseline},
        parse=reading.parse,
    )
    examination = examine(
        expected,
        window=found["window"].observations,
        matured=found["matured"].observations,
        baseline=found["baseline"].observations,
        like_period=found["like_period"].observations,
        until_ms=(until - _EPOCH) // timedelta(milliseconds=1),
        policy=policy,
        unused_share={name: part.unused_share for name, part in found.items()},
    )
    return examination, examination.n_labels, dict(found["window"].unused)


def _read_report(path: Path, key: RunLine) -> dict[str, Any] | None:
    """Return the report of the same run, if that is what the file still is."""
    try:
        report = dict(json.loads(path.read_text(encoding="utf-8")))
        same = (
            report["dataset_revision"] == key.dataset_revision
            and report["policy_digest"] == key.policy
            and report["model"]["manifest_digest"] == key.manifest_digest
            and datetime.fromisoformat(report["until"]) == _EPOCH + timedelta(milliseconds=key.until_ms)
            and datetime.fromisoformat(report["window"]["start"])
            == _EPOCH + timedelta(milliseconds=key.until_ms - key.window_ms)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # gone, torn or of other making: it is written anew
    return report if same else None


def _write(
    out: Path,
    report: dict[str, Any],
    runs: Sequence[RunLine],
    expected: Expectation,
    language: str,
    *,
    metrics: bool,
) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / REPORT_HTML, page(report, runs, expected.profile, language))
        if metrics:
            write_text(out / METRICS, prometheus_text(report))
        write_text(
            out / REPORT_JSON, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        )
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror}; name another with --out.", code="storage"
        ) from error
