"""Does the loop pay? Ninety days of production, a new kind of fraud from day 30, and three ways to answer it.

    python -m benchmarks.loop [--seeds 3] [--days 90] [--transactions 48000]

The same simulated days (fraud/production) are played to each way:

- *loop*: flags and answers to the audit lot become labels by the default trust policy, maintainers review six
  a day, and every fifteen days `fraud.retraining.job.retrain` decides, trains, gates and promotes
- *frozen*: the first champion, for ever
- *naive*: the same job, but every flag is a row of the table at face value: no review, no gate, and the
  cut-off of the training script, from the days before the held-out window
- *naive+*: naive with the loop's cut-off from the newest traffic: what of the loop's gain that alone brings

once as they are and once with hostile sources who call true online frauds false alarms. Nothing is copied
from the product: dataset, registry and job are those of `python -m fraud retrain`. Production's transactions
reach the trainer as the past that features look back on, with what the bank had been told by then; only flags
are labels. Results: benchmarks/results/loop.md.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from benchmarks.poison import small_profile
from fraud.data.profile import DAY_MS, Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.data.table import NEVER_MS, Transactions, concatenate
from fraud.feedback.trust import TrustPolicy
from fraud.models.bundle import Bundle, load_bundle
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.train import train
from fraud.production.dataset import DatasetWriter
from fraud.production.injections import NEW_TYPOLOGY, Injection
from fraud.production.people import People
from fraud.production.run import Production, ScoredDay
from fraud.production.world import SimulatedWorld, known_labels
from fraud.records import MODELS
from fraud.registry import ModelRegistry
from fraud.repositories.local import LocalRepository
from fraud.retraining.gate import GatePolicy
from fraud.retraining.job import retrain
from fraud.retraining.policy import RetrainPolicy
from fraud.retraining.request import Outcome, Request
from fraud.retraining.slice_gate import SliceFinding, SlicePolicy, judge_slices
from fraud.serving.scorer import Scorer

CARD = "card_id"
CHANGE_DAY = 30
HOSTILE = {"hostile_per_day": 6.0, "hostile_sources": 3, "hostile_from": 10}
MIN_FRAUDS = SlicePolicy().min_frauds
NO_GATE = GatePolicy(
    margin_ap=9.0,
    margin_f1=9.0,
    min_frauds=0,
    slices=SlicePolicy(alpha=0.0, max_recall_loss=9.0),
    max_calibration_error=1e9,
    max_latency_ratio=1e9,
    alert_slack=1e9,
    gold_budget=10_000,
)
STRANGERS = RetrainPolicy(min_labels=50, min_frauds=5, max_age_days=None)


@dataclass(frozen=True)
class Scale:
    """How much of everything: smaller than the product, so that a run ends."""

    n_transactions: int = 48_000
    train_days: int = 120
    test_days: int = 40
    trees: int = 30
    rounds: int = 60
    days: int = 90
    every: int = 15
    margin: float = 0.1
    policy: RetrainPolicy = STRANGERS

    def profile(self) -> Profile:
        """Return the `cards` profile at this scale, with as many alerts a day for its transactions."""
        shipped = load_profile("cards")
        rows = (self.n_transactions, self.train_days, self.test_days)
        profile = small_profile(*rows, self.trees, self.rounds)
        per_day = shipped.source.n_transactions / shipped.source.days
        share = self.n_transactions / self.train_days / per_day
        alerts = round((shipped.costs.alerts_per_day or 0) * share)
        return profile.model_copy(
            update={"costs": profile.costs.model_copy(update={"alerts_per_day": alerts})}
        )

    def gate(self) -> GatePolicy:
        """Return the product's gate; a window with so few frauds cannot show its overall margins."""
        return GatePolicy(margin_ap=self.margin, margin_f1=self.margin)


@dataclass(frozen=True)
class Way:
    """One way to answer what people say; no trust policy at all never retrains."""

    name: str
    trust: TrustPolicy | None
    gated: bool
    reviews_per_day: int
    newest_cut_off: bool = False


WAYS = (
    Way("loop", TrustPolicy(), True, People().reviews_per_day, newest_cut_off=True),
    Way("frozen", None, True, People().reviews_per_day),
    Way("naive", TrustPolicy.naive(), False, 0),
    Way("naive+", TrustPolicy.naive(), False, 0, newest_cut_off=True),
)


@dataclass
class Log:
    """What one way came to: per transaction of production the truth and each model's alert.

    Attributes
    ----------
    day, fraud, card : int64 [n], bool [n], int64 [n]
    alerted, groups : model -> bool [n], group -> object [n] of str
    outcomes : day -> what the retraining of its midnight came to
    """

    way: Way
    day: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    fraud: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    alerted: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    groups: dict[str, NDArray[np.object_]] = field(default_factory=dict)
    card: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    cpu_s: float = 0.0

    @classmethod
    def of(cls, way: Way, days: Sequence[ScoredDay], outcomes: dict[int, Outcome]) -> "Log":
        """Return the log of all days of a way."""
        log = cls(way, outcomes=outcomes)
        log.day = np.concatenate([np.full(len(d.ids), d.day.index) for d in days])
        log.fraud = np.concatenate([d.day.fraud for d in days])
        log.alerted = {m: np.concatenate([d.alerted[m] for d in days]) for m in MODELS}
        cards = np.concatenate([np.array(d.day.seen.texts[CARD].texts(), object) for d in days])
        log.card = np.unique(cards.astype(str), return_inverse=True)[1].astype(np.int64)
        log.groups = {
            "typology": np.concatenate([d.day.typology for d in days]),
            **{
                name: np.concatenate([np.array(d.day.seen.texts[name].texts(), object) for d in days])
                for name in ("channel", "category")
            },
        }
        return log

    def slices(self, first: int, last: int) -> dict[str, NDArray[np.bool_]]:
        """Return slice -> bool [n] of the days [first, last)."""
        here = (self.day >= first) & (self.day < last)
        return {
            f"{name}={level}": values[here] == level
            for name, values in self.groups.items()
            for level in sorted(set(values[here & self.fraud].tolist()))
        }

    def f1(self, first: int, last: int) -> float:
        """Return the F1 at the review cut-off over the days [first, last), as the mean of both models."""
        here = (self.day >= first) & (self.day < last)
        truth = self.fraud[here]
        found = []
        for alerts in self.alerted.values():
            alert = alerts[here]
            found.append(2 * (alert & truth).sum() / max(1, alert.sum() + truth.sum()))
        return float(np.mean(found))

    def recalls(self, first: int, last: int) -> dict[str, tuple[int, float]]:
        """Return slice -> (frauds, recall as the mean of both models) of slices with enough frauds."""
        here = (self.day >= first) & (self.day < last) & self.fraud
        found = {}
        for name, values in self.groups.items():
            for level, n in sorted(Counter(values[here].tolist()).items()):
                rows = here & (values == level)
                recall = float(np.mean([a[rows].mean() for a in self.alerted.values()]))
                if n >= MIN_FRAUDS:
                    found[f"{name}={level}"] = (n, recall)
        return found

    def count(self, what: str) -> int:
        """Return how many midnights came to: trained, promoted, refused."""
        told: dict[str, Callable[[Outcome], bool]] = {
            "trained": lambda o: not o.nothing_to_do,
            "promoted": lambda o: o.promoted,
            "refused": lambda o: o.refused,
        }
        return sum(told[what](outcome) for outcome in self.outcomes.values())


def first_champion(profile: Profile, directory: Path) -> Transactions:
    """Train the champion of day 0 into a directory; return its table."""
    table, source = load_transactions(profile, None)
    training = train(table, profile)
    examples = choose_examples(training)
    write_bundle(training, directory, version="1.0.0", data_source=source, examples=examples)
    return table


def past_at(table: Transactions, days: Sequence[ScoredDay], profile: Profile, now_ms: int) -> Transactions:
    """Return the base table with production's transactions up to a moment, as the bank's table has them.

    What is reported later is legitimate, or unknown, until then.
    """
    parts = [table]
    for scored in days:
        seen = scored.day.seen
        labels = known_labels(seen, profile, now_ms)
        matured = seen.times() + int(profile.features.label_delay_days * DAY_MS)
        silent = np.where(labels == 0, matured, NEVER_MS)
        parts.append(seen.with_labels(labels, np.where(labels == 1, seen.known_at_ms, silent)))
    return concatenate(parts)


def play(way: Way, world: SimulatedWorld, people: People, scale: Scale, champion: Path, home: Path) -> Log:
    """Play the world to one way, day by day; retrain at the midnights after every few days."""
    table, _ = load_transactions(world.profile, None)
    registry = ModelRegistry(LocalRepository(home / "registry"))
    dataset = LocalRepository(home / "dataset.git")
    writer = DatasetWriter(dataset, days_per_commit=1)
    production = Production(world, replace(people, reviews_per_day=way.reviews_per_day))
    scorer = Scorer.from_bundle(load_bundle(champion))
    days: list[ScoredDay] = []
    outcomes: dict[int, Outcome] = {}
    for day in production.days(scale.days):
        days.append(day.score(scorer))
        writer.add(days[-1])
        after = day.index + 1
        if way.trust is None or after % scale.every or after == scale.days:
            continue
        now_ms = day.world.start_ms + DAY_MS
        outcomes[after] = retrain(
            Request(
                registry=registry,
                artifacts=champion,
                dataset=dataset,
                runs=home / "retraining",
                base=_base(table, tuple(days), now_ms),
                now=datetime.fromtimestamp(now_ms / 1000, UTC),
                promote=registry.promote,
                policy=scale.policy,
                gate=scale.gate() if way.gated else NO_GATE,
                trust=way.trust,
                newest_cut_off=way.newest_cut_off,
            )
        )
        if outcomes[after].promoted:
            scorer = Scorer.from_bundle(_serving(registry))
    return Log.of(way, days, outcomes)


def _base(table: Transactions, days: Sequence[ScoredDay], now_ms: int) -> Any:
    def base(profile: Profile) -> tuple[Transactions, dict[str, Any]]:
        return past_at(table, days, profile, now_ms), {"source": "simulator and production's past"}

    return base


def _serving(registry: ModelRegistry) -> Bundle:
    serving = registry.champion()
    if serving is None:
        raise AssertionError("a promotion leaves a champion")
    return load_bundle(serving[1])


@dataclass(frozen=True)
class Job:
    """One way over one world, attacked or not."""

    seed: int
    way: Way
    attacked: bool
    scale: Scale
    home: Path

    def run(self) -> "Log":
        """Play it, and say in one line what it came to."""
        started, scale = time.process_time(), self.scale
        change = Injection(NEW_TYPOLOGY, CHANGE_DAY)
        world = SimulatedWorld(scale.profile(), seed=self.seed, injections=[change])
        people = People(consent=0.0, **(HOSTILE if self.attacked else {}))
        home = self.home / f"{self.seed}-{self.way.name}-{self.attacked}"
        home.mkdir()
        log = play(self.way, world, people, scale, self.home / "champion", home)
        log.cpu_s = time.process_time() - started
        told = ", ".join(f"{log.count(what)} {what}" for what in ("trained", "promoted", "refused"))
        figures = ", ".join(f"{log.f1(*period):.3f}" for period in periods_of(scale.days))
        name = f"seed {self.seed} {self.way.name}{' attacked' if self.attacked else ''}"
        print(f"# {name}: F1 {figures}; {told}; {log.cpu_s:.0f} s of CPU", file=sys.stderr, flush=True)
        for day, outcome in log.outcomes.items():
            if outcome.refused:
                print(f"#   day {day}: {'; '.join(outcome.reasons)}", file=sys.stderr, flush=True)
        return log


def periods_of(days: int) -> tuple[tuple[int, int], ...]:
    """Return the periods of the table: before the change, the month after it, and the rest."""
    return (0, CHANGE_DAY), (CHANGE_DAY, CHANGE_DAY + 30), (CHANGE_DAY + 30, days)


def print_tables(logs: dict[int, dict[tuple[str, bool], Log]], days: int) -> None:
    """Print what results/loop.md holds."""
    heads = [f"F1 days {first}-{last}" for first, last in periods_of(days)]
    print(f"| seed | attack | way | {' | '.join(heads)} | trained | promoted | refused |")
    print("|---|---|---|" + "---|" * (len(heads) + 3))
    for seed, of_seed in logs.items():
        for (way, attacked), log in of_seed.items():
            figures = [f"{log.f1(*period):.3f}" for period in periods_of(days)]
            counts = [str(log.count(what)) for what in ("trained", "promoted", "refused")]
            print(f"| {seed} | {'yes' if attacked else 'no'} | {way} | {' | '.join(figures + counts)} |")
    print(
        f"\nRecall of slices with {MIN_FRAUDS} frauds or more, days {CHANGE_DAY}-{days}, attacked, as "
        "the mean of both models; the fall and the slice's own margin are of the model that is worse off:\n"
    )
    print("| seed | slice | frauds | frozen | loop | loop, no attack | naive | falls by | its margin | p |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for seed, of_seed in logs.items():
        frozen, loop, naive = (of_seed[way, True] for way in ("frozen", "loop", "naive"))
        free = of_seed["loop", False].recalls(CHANGE_DAY, days)
        harmed = harms(frozen, loop, days)
        recalls = [log.recalls(CHANGE_DAY, days) for log in (frozen, loop, naive)]
        for name, (n, before) in recalls[0].items():
            finding = harmed[name]
            lost = " **lost**" if finding.harmed else ""
            figures = (
                f"{before:.3f} | {recalls[1][name][1]:.3f} | {free[name][1]:.3f} | {recalls[2][name][1]:.3f}"
            )
            fall = (
                f"{finding.champion - finding.challenger:+.3f}{lost} | {finding.margin:.3f} | {finding.p:.3f}"
            )
            print(f"| {seed} | {name} | {n} | {figures} | {fall} |")


def harms(champion: Log, challenger: Log, days: int) -> dict[str, SliceFinding]:
    """Return slice -> what the gate's test says of recall in production, of the model that is worse off."""
    here = (champion.day >= CHANGE_DAY) & (champion.day < days)
    found = judge_slices(
        champion.fraud[here].astype(np.float64),
        champion.card[here],
        champion.slices(CHANGE_DAY, days),
        {m: (champion.alerted[m][here], challenger.alerted[m][here]) for m in MODELS},
        SlicePolicy(),
    )
    recalls = [finding for finding in found.judged if finding.metric == "recall"]
    order = sorted(recalls, key=lambda f: (f.harmed, f.champion - f.challenger - f.margin))
    return {finding.slice: finding for finding in order}


def print_summary(logs: dict[int, dict[tuple[str, bool], Log]], days: int, ways: Sequence[Way]) -> None:
    """Print by how much the loop beats the others after the change, as the mean over seeds and for each."""
    print(f"\nF1 of days {CHANGE_DAY}-{days}, mean over seeds, and loop minus the other way:\n")
    print("| attack | way | F1 | loop - way | by seed |")
    print("|---|---|---|---|---|")
    for attacked in (False, True):
        f1 = {
            way.name: np.array([of[way.name, attacked].f1(CHANGE_DAY, days) for of in logs.values()])
            for way in ways
        }
        for name, figures in f1.items():
            ahead = f1["loop"] - figures
            each = ", ".join(f"{value:+.3f}" for value in ahead)
            told = " | |" if name == "loop" else f"{ahead.mean():+.3f} | {each} |"
            print(f"| {'yes' if attacked else 'no'} | {name} | {figures.mean():.3f} | {told}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Play production to the loop, a frozen champion, naivety.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=11, metavar="SEED", help="the first of them")
    parser.add_argument("--days", type=int, default=Scale.days)
    parser.add_argument("--transactions", type=int, default=Scale.n_transactions, help="of the base table")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--ways", nargs="+", choices=[way.name for way in WAYS], help="default: all")
    options = parser.parse_args()
    scale = replace(Scale(), days=options.days, n_transactions=options.transactions)
    ways = [way for way in WAYS if way.name in (options.ways or [w.name for w in WAYS])]
    seeds = range(options.first, options.first + options.seeds)
    logs: dict[int, dict[tuple[str, bool], Log]] = {seed: {} for seed in seeds}
    with tempfile.TemporaryDirectory(prefix="loop-") as directory:
        home = Path(directory)
        started = time.process_time()
        first_champion(scale.profile(), home / "champion")
        cpu_s = time.process_time() - started
        jobs = [
            Job(s, way, attacked, scale, home) for s in seeds for attacked in (False, True) for way in ways
        ]
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            for job, log in zip(jobs, pool.map(Job.run, jobs), strict=True):
                logs[job.seed][job.way.name, job.attacked] = log
                cpu_s += log.cpu_s
    if {"loop", "frozen", "naive"} <= {way.name for way in ways}:
        print_tables(logs, scale.days)
    print_summary(logs, scale.days, ways)
    names = ("numpy", "scikit-learn", "pandas", "numba")
    libraries = ", ".join([f"xgboost {xgboost.__version__}", *(f"{name} {version(name)}" for name in names)])
    print(f"\nPython {platform.python_version()}, {libraries}, {platform.machine()}; {scale}")
    print(f"{cpu_s:.0f} s of CPU")


if __name__ == "__main__":
    main()
