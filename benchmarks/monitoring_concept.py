"""Concept drift with people as they are: false alarms of the gap test, and days until a new typology is told.

    python -m benchmarks.monitoring_concept [--seeds 3] [--days 75] [--windows 7,28]

The champion (--bundle) answers simulated production (`fraud.production`): 60% of those asked answer, 2% of
the answers are wrong, maintainers decide six cases each morning from the top of the review queue and err in
3%. A new kind of fraud begins with day 30. After every day from the 21st on, the gap test looks at the window
whose label delay has passed, with the labels known then, once as a monitoring run does and once believing
everybody. Prints markdown, a row as soon as it is known.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.production_watch import Log
from fraud.data.profile import DAY_MS
from fraud.models.bundle import load_bundle
from fraud.monitoring.assessing import Reference, window_of
from fraud.monitoring.audited import mature
from fraud.monitoring.examining import expectation_of
from fraud.monitoring.gap import gap_test
from fraud.monitoring.opinions import AnswerPolicy
from fraud.monitoring.verdicts import EvidencePolicy
from fraud.production.injections import parse_injection
from fraud.production.people import People
from fraud.production.run import Production
from fraud.production.world import SimulatedWorld
from fraud.records import MODELS
from fraud.serving.scorer import Scorer

CHANGE, FIRST_LOOK = 30, 21
CASES = {"none": (), "new typology": (f"new_typology@{CHANGE}",)}
LEVEL = EvidencePolicy().gap_level
POLICIES = {"as it runs": AnswerPolicy(), "believing all": AnswerPolicy(error=0)}


@dataclass
class Tally:
    """The days on which the test was significant, and what it rested on."""

    fired: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)


def looks(log: Log, days: range, windows: list[int], references: dict[str, Reference]) -> Iterator[str]:
    """Yield a row for each window, model and policy."""
    tallies: dict[tuple[int, str, str], Tally] = {}
    delay = 7
    for day in days:
        until_ms = log.until_ms(day)
        labels = log.labels(until_ms)
        for length in windows:
            seen = mature(log.between(max(0, day - delay - length), day, labels), until_ms, delay * DAY_MS)
            for model in MODELS:
                for words, policy in POLICIES.items():
                    window = window_of(seen, model, policy)
                    gap = gap_test(window, references[model].meaning, level=LEVEL, n_draws=999)
                    tally = tallies.setdefault((length, model, words), Tally())
                    tally.answers.append(len(window.rows))
                    tally.waiting.append(int(window.awaiting.sum()))
                    if gap is not None and gap.significant:
                        tally.fired.append(day)
    for (length, model, words), tally in tallies.items():
        early = [day for day in tally.fired if day <= CHANGE]
        late = [day for day in tally.fired if day > CHANGE]
        first = f"{late[0] - CHANGE} (day {late[0]})" if late else "-"
        mean, waiting = (sum(of) / len(of) for of in (tally.answers, tally.waiting))
        n_early, n_late = CHANGE - days.start + 1, days.stop - 1 - CHANGE
        yield (
            f"{length} days | {model} | {words} | {mean:.0f} | {waiting:.1f} "
            f"| {len(early)} of {n_early} | {len(late)} of {n_late} | {first} |"
        )


def main() -> None:
    """Play every case and print its rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, default=Path("artifacts"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--days", type=int, default=75)
    parser.add_argument("--windows", default="7,28", help="lengths in days")
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    scorer, expected = Scorer.from_bundle(bundle), expectation_of(bundle)
    print("\n## Concept drift: days on which the gap test is significant\n")
    print(
        "| case | seed | window | model | answers | answers, mean | waiting | days until 30 | after | first |"
    )
    print("|---|---:|---|---|---|---:|---:|---:|---:|---:|", flush=True)
    for number in range(options.seeds):
        for case, events in CASES.items():
            seed = bundle.profile.source.seed + number
            injections = [parse_injection(event) for event in events]
            world, log = SimulatedWorld(bundle.profile, seed=seed, injections=injections), Log()
            for day in Production(world, People()).days(options.days):
                log.add(day.score(scorer))
            windows = [int(length) for length in options.windows.split(",")]
            for row in looks(log, range(FIRST_LOOK, options.days + 1), windows, dict(expected.models)):
                print(f"| {case} | {seed} | {row}", flush=True)


if __name__ == "__main__":
    main()
