"""What wrong answers do to F1 and to the alarm of concept drift, with and without second opinions.

    python -m benchmarks.monitoring_answers [--windows 500]

Windows, lots and models are those of `benchmarks.monitoring_performance`. Prints markdown, a row as soon as
it is known.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.monitoring_windows import (
    POLICY,
    N,
    Pool,
    chances,
    draw,
    drifted,
    f1_of,
    shipped,
    volunteered,
)
from fraud.data.profile import load_profile
from fraud.monitoring.audited import AuditedWindow, audited_window
from fraud.monitoring.believing import figures_between
from fraud.monitoring.estimated import Meaning, fit_meaning
from fraud.monitoring.gap import gap_test
from fraud.monitoring.opinions import AnswerPolicy, Standing
from fraud.monitoring.performance import Figure, realised_figures

COSTS = load_profile("cards").costs


@dataclass(frozen=True)
class Answering:
    """How people answer: how often they err, and how often a claim that weighs much is asked about again."""

    words: str
    error: float
    asked_again: float
    n_labels: int = 300
    hidden: bool = False
    response: float = 1.0  # below 1 the silent volunteer, as in `monitoring_performance`


ANSWERING = (
    Answering("no error, second opinions", 0.0, 1.0),
    Answering("2% wrong, second opinions", 0.02, 1.0),
    Answering("2% wrong, half of the second opinions", 0.02, 0.5),
    Answering("2% wrong, no second opinion", 0.02, 0.0),
    Answering("4% wrong (assumed: 2%), second opinions", 0.04, 1.0),
    Answering("2% wrong, second opinions", 0.02, 1.0, n_labels=1000),
    Answering("2% wrong, second opinions; as many new hidden frauds again", 0.02, 1.0, hidden=True),
    Answering("2% wrong, second opinions; as many new hidden frauds again", 0.02, 1.0, 1000, hidden=True),
    Answering("2% wrong, second opinions; 60% answer, the others volunteer", 0.02, 1.0, response=0.6),
)


def with_errors(window: Pool, asked: np.ndarray, pi: np.ndarray, how: Answering, rng: np.random.Generator):
    """Return labels as they are said and what they rest on; a second opinion errs as often as the first."""
    truth = window.labels
    said = np.where(rng.random(N) < how.error, 1 - truth, truth)
    standing = np.full(N, Standing.LONE, np.int8)
    missed = ~np.all([window.alerted(m) for m in window.probability], axis=0)
    weighty = asked & missed & (said == 1) & (1 / pi > POLICY.answers.lone_weight)
    again = weighty & (rng.random(N) < how.asked_again)
    agrees = (truth == 1) ^ (rng.random(N) < how.error)
    standing[again] = np.where(agrees[again], Standing.CONFIRMED, Standing.OVERTURNED)
    return np.where(again & ~agrees, 0.0, said), standing


def f1_figure(window: AuditedWindow, meaning: Meaning) -> Figure:
    """Return F1 as a monitoring run has it."""
    expected = meaning(window.probability)
    return figures_between(window, expected, lambda of: realised_figures(of, expected, None, COSTS))["f1"]


def noise(pool: Pool, meanings: dict[str, Meaning], how: Answering, n_windows: int) -> Iterator[str]:
    """Yield for each model how F1's interval and the gap alarm fare, beside those of believing everybody."""
    rng = np.random.default_rng(37)
    rows: dict[str, list[tuple[float, ...]]] = {m: [] for m in pool.probability}
    for _ in range(n_windows):
        window = draw(pool, rng)
        window = drifted(window, "hidden", rng) if how.hidden else window
        pi = chances(window, how.n_labels)
        asked = rng.random(N) < pi
        said, standing = with_errors(window, asked, pi, how, rng)
        once = np.where(rng.random(N) < how.error, 1 - window.labels, window.labels)
        for m, found in rows.items():
            p, alerted = window.probability[m], window.alerted(m)
            target = f1_of(window.labels, alerted)
            answered = heard = asked
            if how.response < 1:
                answered = asked & (rng.random(N) < how.response)
                heard = answered | (asked & volunteered(window.labels, alerted, rng))
            sample = audited_window(p, alerted, np.where(answered, said, np.nan), asked, pi, standing)
            naive = audited_window(p, alerted, np.where(heard, once, np.nan), asked, pi)
            cells: list[float] = []
            for of in (sample, replace(naive, policy=AnswerPolicy(error=0))):
                f1 = f1_figure(of, meanings[m])
                gap = gap_test(of, meanings[m], level=POLICY.gap_level, n_draws=999)
                covered = f1.low <= target <= f1.high
                cells += [covered, f1.high - f1.low, f1.value - target, gap is not None and gap.significant]
            found.append((*cells, sample.awaiting.sum()))
    for m, found in rows.items():
        held, width, bias, fired, naive_held, _, naive_bias, naive_fired, waiting = np.mean(
            np.array(found, float), axis=0
        )
        yield (
            f"| {how.words} | {how.n_labels:,} | {m} | {held:.1%} | {width:.3f} | {bias:+.3f} "
            f"| {waiting:.1f} | **{fired:.1%}** | {naive_held:.1%} | {naive_bias:+.3f} | {naive_fired:.1%} |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--rows", default="", help="numbers of the rows to run, from 0 (default: all)")
    options = parser.parse_args()
    print("\n## Answers that are wrong\n")
    print(
        f"Claims of a missed fraud that stand for more than {POLICY.answers.lone_weight:g} predictions are "
        "asked about again, and the second opinion errs as often as the first. The last three columns: "
        "everybody believed at once, and what was volunteered taken for an answer. Nothing changed but in "
        "the rows of new hidden frauds: there the "
        f"alarm (level {POLICY.gap_level:.0%}) is right.\n"
    )
    print(
        "| answers | labels | model | F1 covered | width | bias | claims waiting | alarm | believed: covered "
        "| bias | alarm |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    pool = replace(shipped(), table=None)
    meanings = {m: fit_meaning(pool.labels, p) for m, p in pool.probability.items()}
    chosen = [int(n) for n in options.rows.split(",")] if options.rows else range(len(ANSWERING))
    for number in chosen:
        for line in noise(pool, meanings, ANSWERING[number], options.windows):
            print(line, flush=True)


if __name__ == "__main__":
    main()
