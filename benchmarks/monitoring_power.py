"""Power: how many days after each injected change an alert fires, beside evidently and NannyML.

    python -m benchmarks.monitoring_power [--evidently PYTHON] [--nannyml PYTHON] [--seeds 1]

How to make the peers' environments says the head of `benchmarks.monitoring`. The champion (--bundle) answers
simulated production for 50 days (`fraud.production`); something changes on day 30. After every day from the
20th on the product looks at the 7 days before, as `python -m fraud monitor` would, in process and without a
repository: `examine`, `findings_of`, `advance`, all by their defaults. Until the change all worlds are one,
so those days are played and looked at once. Peers see the same columns: the fields and both scores, against
the champion's held-out rows. Prints markdown, a row as soon as it is known.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.production_watch import LABELLED, WINDOW, Log, Watch
from fraud.data.profile import Profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.features.history import History
from fraud.models.bundle import PREDICTIONS_FILE, Bundle, load_bundle
from fraud.models.reference import Batch, build_reference, in_batches
from fraud.monitoring.drift import measure_drift, start_window
from fraud.monitoring.examining import Expectation, expectation_of
from fraud.production.injections import parse_injection
from fraud.production.people import People
from fraud.production.run import Production
from fraud.production.world import SimulatedWorld
from fraud.records import MODELS
from fraud.serving.scorer import Scorer

N_DAYS, FROM, FIRST_LOOK = 50, 30, 20
CASES = (
    "none",
    "new_typology",
    "covariate_shift",
    "broken_column:amount=unit",
    "broken_column:category=null",
    "broken_column:card_age_days=stuck",
    "season",
)
SEASON_BEFORE = 1000
"""Added to the seed, for the season that was a year before."""


@dataclass
class Peers:
    """evidently and NannyML at work on one case, each in a process of its own."""

    processes: dict[str, tuple[subprocess.Popen[str], Path]]
    deadline: float

    @classmethod
    def start(cls, interpreters: Mapping[str, str], paths: Sequence[Path], seconds: float) -> "Peers":
        """Let them begin; they look at windows from the first day of interest on."""
        quiet = os.environ | {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PYTHONPATH": ""}
        script = str(Path(__file__).with_name("stream_peers.py"))
        processes = {}
        for tool, interpreter in interpreters.items():
            out = paths[1].with_suffix(f".{tool}.json")
            command = [interpreter, script, tool, *map(str, paths), str(out), f"{seconds:.0f}"]
            process = subprocess.Popen(
                command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            processes[tool] = (process, out)
        return cls(processes, time.monotonic() + 1.5 * seconds)

    def answers(self) -> dict[str, dict[str, Any]]:
        """Wait for them; return what each wrote, or its error."""
        found: dict[str, dict[str, Any]] = {}
        for tool, (process, out) in self.processes.items():
            try:
                _, complaint = process.communicate(timeout=max(1.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                _, complaint = process.communicate()
                complaint = "stopped for want of time"
            if out.is_file():
                found[tool] = dict(json.loads(out.read_text()))
            else:
                found[tool] = {"error": (complaint.strip().splitlines() or ["no message"])[-1]}
        return found


def held_out(bundle: Bundle) -> tuple[Transactions, dict[str, np.ndarray]]:
    """Return the champion's held-out transactions and what it answers to them, as it serves: in full digits.

    The digits that are kept with a release are those of single precision, which moves scores across the
    bounds of bins: a forest gives the same few scores again and again.
    """
    table, _ = load_transactions(bundle.profile, None)
    place = {identity: row for row, identity in enumerate(table.ids.tolist())}
    kept = pd.read_parquet(bundle.directory / PREDICTIONS_FILE, columns=["id"])["id"]
    rows = table.take(np.array([place[identity] for identity in kept]))
    features = bundle.pipeline.transform(rows, History.of(table, bundle.profile))
    raw = {m: bundle.models[m].forest.probability(features) for m in MODELS}
    return rows, {m: bundle.models[m].calibration(raw[m]) for m in MODELS}


def with_inputs(
    expected: Expectation, bundle: Bundle, rows: Transactions, probability: Mapping[str, np.ndarray]
) -> Expectation:
    """Return the expectation with its inputs counted, for a release from before bundles had them."""
    if expected.inputs is not None:
        return expected
    alerted = {m: p >= bundle.models[m].thresholds.review for m, p in probability.items()}
    batch = Batch(rows, probability, alerted)
    return replace(expected, inputs=build_reference(bundle.profile, lambda: in_batches(batch)))


def frame_of(
    rows: Transactions, probability: Mapping[str, np.ndarray], bundle: Bundle, labels: np.ndarray
) -> pd.DataFrame:
    """Return what peers are shown: the fields, both scores; and time, decisions and labels for CBPE."""
    profile: Profile = bundle.profile
    columns: dict[str, Any] = {}
    for spec in profile.fields:
        if spec.kind == "category":
            column = rows.texts[spec.column]
            values = np.array([*column.values, None], object)
            columns[spec.column] = values[column.codes]
        else:
            columns[spec.column] = rows.numbers[spec.column]
    for m in MODELS:
        columns[m] = np.clip(np.asarray(probability[m], np.float64), 0, 1)
        columns[f"{m}_alert"] = (columns[m] >= bundle.models[m].thresholds.review).astype(int)
    columns["label"] = labels.astype(int)
    columns["t"] = pd.to_datetime(rows.times(), unit="ms")
    return pd.DataFrame(columns)


def stream_of(log: Log, bundle: Bundle, first_look: int) -> pd.DataFrame:
    """Return the log as peers are shown it, with each row's day; `first_look`: the first window's end."""
    frames = [
        frame_of(d.day.seen, d.probability, bundle, d.day.fraud).assign(day=number)
        for number, d in enumerate(log.days)
    ]
    return pd.concat(frames, ignore_index=True).assign(first_look=first_look)


def fired(watch: Watch, prefix: str) -> str:
    """Return the days until the first alert of a kind."""
    first = watch.first_days(prefix, FROM)
    return str(min(first.values()) - FROM) if first else "-"


def fired_by_column(watch: Watch) -> str:
    """Return the days until each column's alert: "1: amount, country; 3: channel"."""
    by_day: dict[int, list[str]] = {}
    for key, day in sorted(watch.first_days("drift:", FROM).items()):
        by_day.setdefault(day - FROM, []).append(key.removeprefix("drift:"))
    return "; ".join(f"{day}: {', '.join(names)}" for day, names in sorted(by_day.items())) or "-"


def said(found: Mapping[str, Any], column: str | None) -> list[str]:
    """Return the days until a peer's alarm: on the column that broke, or on any."""
    cells = []
    for kind in ("column", "dataset", "daily", "weekly", "f1_daily", "f1_weekly"):
        if kind in found:
            days = [
                int(day)
                for day, columns in found[kind].items()
                if int(day) > FROM and _told(columns, None if kind == "dataset" else column)
            ]
            cells.append(str(min(days) - FROM) if days else "-")
    return cells


def _told(columns: Sequence[str], column: str | None) -> bool:
    if column is None or not columns:
        return bool(columns)
    return column in columns or any(c.startswith(("f1:", "ValueError")) for c in columns)


PEER_COLUMNS = {
    "evidently": ("evidently: a column", "evidently: data set"),
    "nannyml": ("NannyML: daily", "NannyML: weekly", "CBPE F1: daily", "CBPE F1: weekly"),
}


@dataclass
class Bench:
    """One champion with what it promised, and the peers' reference on disk."""

    bundle: Bundle
    scorer: Scorer
    expected: Expectation
    directory: Path
    interpreters: dict[str, str]
    peer_seconds: float
    n_days: int = N_DAYS
    first_look: int = FIRST_LOOK
    watched: Sequence[str] = ("inputs", "labels", "corrected")

    @property
    def reference_path(self) -> Path:
        """The held-out rows, for the peers."""
        return self.directory / "reference.parquet"

    def play(self, production: Production, log: Log, n: int) -> None:
        """Let n more days pass."""
        for day in production.days(n):
            log.add(day.score(self.scorer))

    def peers(self, name: str, log: Log, first_look: int) -> Peers:
        """Let the peers begin with a case."""
        path = self.directory / f"{name.replace(':', '_')}.parquet"
        stream_of(log, self.bundle, first_look).to_parquet(path)
        return Peers.start(self.interpreters, (self.reference_path, path), self.peer_seconds)

    def cells(self, answers: Mapping[str, Mapping[str, Any]], column: str | None) -> list[str]:
        """Return a row's cells of the peers."""
        cells: list[str] = []
        for tool in self.interpreters:
            found = answers[tool]
            if "error" in found:
                cells += [f"`{found['error'][:60]}`"] + ["" for _ in PEER_COLUMNS[tool][1:]]
                continue
            cut = f" (cut after day {found['cut'] - FROM:+d})" if found.get("cut") else ""
            cells += [cell + (cut if cell == "-" else "") for cell in said(found, column)]
        return cells


def row_of(name: str, seed: int, watches: Mapping[str, Watch], peers: Sequence[str]) -> str:
    """Return a case's row."""
    inputs, *labelled = (watches[kind] for kind in watches)
    ours = [fired_by_column(inputs), fired(inputs, "domain")]
    for prefix in LABELLED:
        cells = [fired(watch, prefix) for watch in labelled]
        ours.append(" / ".join(cells) or "not looked at")
    return f"| {name} | {seed} | " + " | ".join((*ours, *peers)) + " |"


def look(watches: Mapping[str, Watch], log: Log, days: range, expected: Expectation) -> None:
    """Look at every day, at everything that is watched."""
    for day in days:
        labels = log.labels(log.until_ms(day)) if len(watches) > 1 else {}
        for watch in watches.values():
            watch.look(log, day, labels, expected)


def branch(*state: Any, production: Production) -> tuple[Any, ...]:
    """Return a copy of what there is, to go on from in another way; locks are shared, as they can only be."""
    lock = production._sampler._lock
    return tuple(deepcopy([production, *state], {id(lock): lock}))


def one_seed(bench: Bench, seed: int, cases: Sequence[str]) -> None:
    """Play every case over one seed and print its row; then the false alarms before the change."""
    start = time.perf_counter()
    production = Production(SimulatedWorld(bench.bundle.profile, seed=seed), People())
    log, watches = Log(), {kind: Watch(kind) for kind in bench.watched}
    bench.play(production, log, FROM)
    look(watches, log, range(bench.first_look, FROM + 1), bench.expected)
    quiet: tuple[Mapping[str, Watch], Mapping[str, Any]] | None = None
    for name in cases:
        changed, told, seen = branch(log, watches, production=production)
        if name != "none":
            changed.world.injections = (parse_injection(f"{name}@{FROM}"),)
        bench.play(changed, told, bench.n_days - FROM)
        peers = bench.peers(f"{name}-{seed}", told, bench.first_look if name == "none" else FROM + 1)
        look(seen, told, range(FROM + 1, bench.n_days + 1), bench.expected)
        answers = peers.answers()
        column = name.split(":")[1].split("=")[0] if ":" in name else None
        print(row_of(name, seed, seen, bench.cells(answers, column)), flush=True)
        if name == "season":
            print(with_like_period(bench, seed, told), flush=True)
        if name == "none":
            quiet = seen, answers
    if quiet is not None:
        false_alarms(*quiet)
    print(f"\nSeed {seed}: {time.perf_counter() - start:.0f} s.", flush=True)


def with_like_period(bench: Bench, seed: int, log: Log) -> str:
    """Return what of the season is drift once the same weeks of the year before are known."""
    world = SimulatedWorld(
        bench.bundle.profile, seed=seed + SEASON_BEFORE, injections=(parse_injection(f"season@{FROM}"),)
    )
    earlier, found = Log(), {}
    bench.play(Production(world, People()), earlier, bench.n_days)
    assert bench.expected.inputs is not None
    for day in range(FROM + 1, bench.n_days + 1):
        sketches = []
        for of in (log, earlier):
            part = of.between(day - WINDOW, day, {})
            tally = start_window(bench.expected.inputs)
            answers = part.answers.items()
            scores, alerts = {m: a.probability for m, a in answers}, {m: a.alerted for m, a in answers}
            for batch in in_batches(Batch(part.transactions, scores, alerts)):
                tally.update(batch)
            sketches.append(tally.sketch())
        report = measure_drift(bench.expected.inputs, sketches[0], like_period=sketches[1])
        found[day] = list(report.drifted)
    days = [day for day, columns in found.items() if columns]
    cell = (
        f"{days[0] - FROM} ({', '.join(found[days[0]])}; {len(days)} of {len(found)} days)" if days else "-"
    )
    return f"| season, with the one a year before known (found, not yet an alert) | {seed} | {cell} |"


def false_alarms(watches: Mapping[str, Watch], answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Print how often anything was told where nothing had changed: all days of the case without a change."""
    print("\nWithout any change, on how many days an alarm stood (for evidently: was raised):\n")
    print("| | looks | with an alarm | of what |\n|---|---|---|---|")
    for kind, watch in watches.items():
        words = ", answers without their errors" if kind == "corrected" else ""
        for prefix in ("drift:", "domain") if kind == "inputs" else LABELLED:
            hit = [{k for k in keys if k.startswith(prefix)} for keys in watch.firing.values()]
            _quiet_row(f"ours, {prefix.rstrip(':')}{words}", hit)
    for tool, found in answers.items():
        for kind in ("column", "dataset", "daily", "weekly", "f1_daily", "f1_weekly"):
            if kind in found:
                _quiet_row(f"{tool} {found['version']}, {kind}", [set(c) for c in found[kind].values()])
    if "labels" in watches:
        unjudged = watches["labels"].unjudged
        for key in ("f1:random_forest", "concept_drift:random_forest"):
            n = sum(key in keys for keys in unjudged.values())
            print(f"\n{key} lacked evidence on {n} of {len(unjudged)} days.")


def _quiet_row(words: str, hit: Sequence[set[str]]) -> None:
    told = sorted(set().union(*hit))
    names = ", ".join(told[:6]) + (f" and {len(told) - 6} more" if len(told) > 6 else "")
    print(f"| {words} | {len(hit)} | {sum(map(bool, hit))} | {names or '-'} |")


def main() -> None:
    """Run every case, print markdown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--evidently", default="")
    parser.add_argument("--nannyml", default="")
    parser.add_argument("--bundle", type=Path, default=Path("artifacts"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--peer-seconds", type=float, default=240.0, help="for each case and peer")
    parser.add_argument("--days", type=int, default=N_DAYS)
    parser.add_argument("--first-look", type=int, default=FIRST_LOOK)
    parser.add_argument("--watched", default="inputs,labels,corrected", help="inputs, and what else")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    peers = {t: getattr(options, t) for t in PEER_COLUMNS if getattr(options, t)}
    print(f"\n## Power: days from a change until it is told (change on day {FROM} of {options.days})\n")
    print(f"Python {platform.python_version()}, {os.cpu_count()} shared cores; windows of {WINDOW} days.\n")
    names = ("input drift", "classifier", "concept drift", "F1", "a segment")
    print("What rests on labels: with people's answers as they are, 2% wrong / without those errors.\n")
    head = ["change", "seed", *names, *(c for tool in peers for c in PEER_COLUMNS[tool])]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        expected = expectation_of(bundle)
        if peers or expected.inputs is None:
            rows, probability = held_out(bundle)
            expected = with_inputs(expected, bundle, rows, probability)
            reference = frame_of(rows, probability, bundle, rows.labels == 1)
            reference.to_parquet(Path(name) / "reference.parquet")
        bench = Bench(
            bundle=bundle,
            scorer=Scorer.from_bundle(bundle),
            expected=expected,
            directory=Path(name),
            interpreters=peers,
            peer_seconds=options.peer_seconds,
            n_days=options.days,
            first_look=options.first_look,
            watched=options.watched.split(","),
        )
        for number in range(options.seeds):
            one_seed(bench, bundle.profile.source.seed + number, options.cases.split(","))


if __name__ == "__main__":
    main()
