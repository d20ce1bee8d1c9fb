"""Do the intervals of monitored performance cover, is the audit sharp, does the gap alarm tell drift.

    python -m benchmarks.monitoring_performance [--windows 500] [--only PART] [--seed 17] [--next 0.25]

Windows are drawn from the shipped models' held-out predictions (artifacts/), so the whole truth of every
window is known. What scores mean is fitted on a random half of the days, another one for every five windows,
and windows are drawn from the other half. Lots are the audit sampler's (`fraud.feedback.audit.influence`,
floor 0.25), scaled to the number of labels. The naive figure uses every known label unweighted: the audit's
answers and what people volunteer, who report 60% of missed frauds, 30% of false alarms, 10% of frauds found
and 1 in 1,000 of the rest.

`--only` prints one table: `coverage`, `missed` (coverage by how many missed frauds the lot met), `sharpness`,
`estimates`, `alarms` (F1 below held-out, the gap, all inputs together: false alarms and power), `segments`.
`--scenarios 1,2,4` chooses windows of `coverage` and `missed`. `--next` sets the part of a next fraud that
upper limits reckon with (`fraud.monitoring.intervals.NEXT`).

`--scores FILE` adds another model's scores to `coverage`, of predictions that it was not trained on: an npz
with p, float [n], calibrated probabilities, and y, 0 or 1 [n]. The rows of `ulb` are of a file made so, with
the table of the ULB card payments at hand:

    python -m fraud train --profile ulb --data creditcard.csv --out /tmp/ulb
    python -c "import numpy as np, pandas as pd; \
        t = pd.read_parquet('/tmp/ulb/resultados/predicoes_teste.parquet'); \
        np.savez('/tmp/ulb.npz', p=t['xgboost'], y=t['label'])"
    python -m benchmarks.monitoring_performance --only coverage --scores /tmp/ulb.npz
"""

import argparse
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.monitoring_windows import (
    POLICY,
    N,
    Pool,
    chances,
    draw,
    drifted,
    f1_of,
    halves,
    shipped,
    tilted,
    volunteered,
)
from fraud.data.profile import Profile, load_profile
from fraud.data.table import Coded
from fraud.feedback.audit import audited_f1
from fraud.models.evaluate import Ranking, evaluate
from fraud.monitoring import intervals
from fraud.monitoring.assessing import Reference, realised_performance, window_of
from fraud.monitoring.audited import AuditedWindow, audited_window
from fraud.monitoring.domain import compare_stretches
from fraud.monitoring.estimated import Meaning, estimated_performance, fit_meaning
from fraud.monitoring.gap import gap_test
from fraud.monitoring.observations import ModelAnswers, Observations
from fraud.monitoring.opinions import Standing
from fraud.monitoring.performance import naive_figures, realised_figures
from fraud.monitoring.segments import SegmentPolicy, amount_edges, assess_segments
from fraud.monitoring.verdicts import Health, judge_f1, judge_gap, want_of_evidence
from fraud.records import MODELS

WINDOWS_PER_REFERENCE = 5
CBPE_WINDOWS = 100


def audit(window: Pool, name: str, labels: np.ndarray, asked: np.ndarray, pi: np.ndarray) -> AuditedWindow:
    return audited_window(window.probability[name], window.alerted(name), labels, asked, pi)


@dataclass(frozen=True)
class Scenario:
    """How windows are made and asked about."""

    words: str
    n_labels: int = 300
    rate: float | None = None
    hidden: float = 0.0
    response: float = 1.0
    believed: bool = False  # what is volunteered on asked predictions is taken for an answer


SCENARIOS = (
    Scenario("100 labels", 100),
    Scenario("300 labels"),
    Scenario("1,000 labels", 1000),
    Scenario("300 labels, 0.2% fraud", rate=0.002),
    Scenario("300 labels, 3% fraud", rate=0.03),
    Scenario("300 labels, 0.3% new hidden frauds", hidden=0.003),
    Scenario("300 asked, 70% of alerts and 50% of others answer", response=0.7),
    Scenario("40 labels, 0.2% fraud", 40, rate=0.002),
    Scenario("the same, and the silent volunteer: taken for answers", response=0.7, believed=True),
)


class Referenced:
    """Draws windows from one half of a pool's days, and has what scores mean fitted on the other half."""

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        self._pool, self._rng, self._n = pool, rng, 0
        self.rest, self.meanings = pool, dict[str, Meaning]()

    def next(self) -> Pool:
        """Return what the next window is drawn from; every few windows the halves are others."""
        if self._n % WINDOWS_PER_REFERENCE == 0:
            reference, days, self.rest = halves(self._pool, self._rng)
            self.meanings = {
                m: fit_meaning(reference.labels, p, days) for m, p in reference.probability.items()
            }
        self._n += 1
        return self.rest


def covered(pool: Pool, scenario: Scenario, n_windows: int, seed: int) -> dict[str, list[tuple[float, ...]]]:
    """Return a row for each window, by model: see `coverage` and `by_missed`."""
    rng = np.random.default_rng(seed)
    source = Referenced(pool, np.random.default_rng([seed, 1]))
    costs = load_profile("cards").costs
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in pool.probability}
    for _ in range(n_windows):
        window = draw(source.next(), rng, scenario.rate, scenario.hidden)
        pi = chances(window, scenario.n_labels)
        asked = rng.random(N) < pi
        for name in found:
            alerted, truth = window.alerted(name), window.labels
            reached = rng.random(N) < np.where(alerted, scenario.response, scenario.response - 0.2)
            answered = asked & (reached | (scenario.response == 1))
            unasked = volunteered(truth, alerted, rng)
            answered = answered | (asked & unasked & scenario.believed)
            labels = np.where(answered, truth, np.nan)
            sample = audit(window, name, labels, asked, pi)
            expected = source.meanings[name](sample.probability)
            figure = realised_figures(sample, expected, None, costs)["f1"]
            normal = audited_f1(sample.labels, alerted[sample.rows].astype(float), sample.chance[sample.rows])
            said = np.where(answered | unasked, truth, np.nan)
            naive = naive_figures(said, alerted)["f1"]
            target = f1_of(truth, alerted)
            within = normal is not None and abs(normal.f1 - target) <= 1.96 * normal.sd
            enough = (
                sample.labels.sum() >= POLICY.min_frauds
                and len(sample.rows) >= POLICY.min_answers
                and figure.value is not None
            )
            value, low, high = figure.value or np.nan, figure.low or 0.0, figure.high or 1.0
            met = float(sample.labels[~alerted[sample.rows]].sum())
            cells = target, value, low, high, within, naive - target, enough, sample.labels.sum(), met
            found[name].append(cells)
    return found


def by_missed(pool: Pool, scenario: Scenario, n_windows: int, seed: int) -> Iterator[str]:
    """Yield coverage by how many missed frauds the lot met, and on which side the truth lies else."""
    for name, rows in covered(pool, scenario, n_windows, seed).items():
        target, _, low, high, *_, met = np.array(rows, float).T
        for n in range(5):
            chosen = met >= n if n == 4 else met == n
            if not chosen.any():
                continue
            above, below = (target > high)[chosen].mean(), (target < low)[chosen].mean()
            words = "4 or more" if n == 4 else f"{n}"
            yield (
                f"| {scenario.words} | {name} | {words} | {chosen.sum()} | {1 - above - below:.1%} "
                f"| {above:.1%} | {below:.1%} |"
            )


def coverage(pool: Pool, scenario: Scenario, n_windows: int, seed: int) -> Iterator[str]:
    """Yield a row of the table for each model."""
    for name, rows in covered(pool, scenario, n_windows, seed).items():
        truth, value, low, high, within, naive_error, enough, frauds, _ = np.array(rows, float).T
        inside, width = (low <= truth) & (truth <= high), high - low
        judged = enough == 1
        text = f"{inside[judged].mean():.1%}" if judged.mean() >= 0.1 else "not judged"
        cells = (
            scenario.words,
            name,
            f"{truth.mean():.3f}",
            f"{np.median(frauds):.0f}",
            f"{judged.mean():.0%}",
            text,
            f"{inside.mean():.1%}",
            f"{np.mean(within):.1%}",
            f"{width.mean():.3f}",
            f"{np.nanmean(value - truth):+.4f}",
            f"{np.nanstd(value - truth):.4f}",
            f"{naive_error.mean():+.3f}",
        )
        yield f"| {' | '.join(cells)} |"


def sharpness(pool: Pool, n_windows: int, seed: int) -> Iterator[str]:
    """Yield the sd of F1 with 300 labels, by audit and uniformly: the same estimator, and the plain one."""
    costs = load_profile("cards").costs
    for name in pool.probability:
        errors: dict[str, list[float]] = {"audit": [], "uniform": [], "plain": []}
        rng = np.random.default_rng(seed + 6)
        source = Referenced(pool, np.random.default_rng([seed, 2]))
        for _ in range(n_windows):
            window = draw(source.next(), rng)
            target = f1_of(window.labels, window.alerted(name))
            for kind in ("audit", "uniform"):
                pi = chances(window, 300, uniform=kind == "uniform")
                asked = rng.random(N) < pi
                sample = audit(window, name, np.where(asked, window.labels, np.nan), asked, pi)
                expected = source.meanings[name](sample.probability)
                figure = realised_figures(sample, expected, None, costs)["f1"]
                errors[kind].append(np.nan if figure.value is None else figure.value - target)
                if kind == "uniform":
                    alerted = sample.alerted[sample.rows].astype(float)
                    plain = audited_f1(sample.labels, alerted, sample.chance[sample.rows])
                    errors["plain"].append(np.nan if plain is None else plain.f1 - target)
        sd = {kind: float(np.nanstd(values)) for kind, values in errors.items()}
        lost = np.mean(np.isnan(errors["plain"]))
        yield (
            f"| {name} | {sd['audit']:.4f} | {sd['uniform']:.4f} | {sd['plain']:.4f} ({lost:.0%} undefined) "
            f"| {sd['audit'] / sd['uniform']:.2f} | {sd['audit'] / sd['plain']:.2f} |"
        )


def estimates(pool: Pool, n_windows: int, seed: int) -> Iterator[str]:
    """Yield how often CBPE's limits hold, and how often the gap alarm fires, by kind of change."""
    names = ("f1", "precision", "recall", "auc", "ap")
    for kind, n_labels in product(("covariates", "hidden", "gone"), (300, 1000)):
        for model in pool.probability:
            rng = np.random.default_rng(seed + 12)
            inside, fired, error = [], [], []
            for number in range(n_windows):
                if number % WINDOWS_PER_REFERENCE == 0:
                    reference, days, rest = halves(pool, rng)
                    meaning = fit_meaning(reference.labels, reference.probability[model], days)
                window = drifted(tilted(rest, rng), kind, rng)
                pi = chances(window, n_labels)
                asked = rng.random(N) < pi
                sample = audit(window, model, np.where(asked, window.labels, np.nan), asked, pi)
                gap = gap_test(sample, meaning, level=POLICY.gap_level)
                enough = sample.labels.sum() >= POLICY.min_frauds
                fired.append(np.nan if gap is None or not enough else gap.significant)
                if number < CBPE_WINDOWS:
                    probability, alerted = window.probability[model], window.alerted(model)
                    guess = estimated_performance(probability, alerted, meaning, n_draws=200).figures
                    truth = realised_of(window.labels, probability, alerted)
                    inside.append([guess[f].low <= truth[f] <= guess[f].high for f in names])
                    error.append(guess["f1"].value - truth["f1"])
            held = " | ".join(f"{share:.1%}" for share in np.mean(inside, axis=0))
            judged = np.isfinite(fired).mean()
            yield (
                f"| {kind} | {model} | {n_labels:,} | {held} | {np.mean(error):+.3f} | {judged:.0%} "
                f"| {np.nanmean(fired):.1%} |"
            )


def realised_of(labels: np.ndarray, probability: np.ndarray, alerted: np.ndarray) -> dict[str, float]:
    auc, ap = Ranking.of(labels, probability).auc_and_ap()
    hits = labels[alerted].sum()
    precision, recall = hits / alerted.sum(), hits / labels.sum()
    return {"f1": f1_of(labels, alerted), "precision": precision, "recall": recall, "auc": auc, "ap": ap}


def alarms(pool: Pool, profile: Profile, n_windows: int, seed: int) -> Iterator[str]:
    """Yield how often F1 is called below held-out, and scores are said to have lost their meaning.

    Nothing changed in "none". The held-out figure is that of the reference's half, with its own interval.
    """
    for kind, n_labels in product(("none", "hidden", "gone"), (300, 1000)):
        rng = np.random.default_rng(seed + 20)
        found: dict[str, list[tuple[float, ...]]] = {m: [] for m in MODELS}
        for number in range(n_windows):
            if number % WINDOWS_PER_REFERENCE == 0:
                reference, days, rest = halves(pool, rng)
                references = {m: reference_of(reference, m, days, profile) for m in MODELS}
            window = rest.take(rng.choice(len(rest.labels), min(N, len(rest.labels)), replace=False))
            window = drifted(window, kind, rng)
            seen = observations(window, chances(window, n_labels), rng)
            for m in MODELS:
                realised = realised_performance(seen, m, profile, references[m], POLICY.answers)
                lacking = bool(want_of_evidence(realised, POLICY))
                sample = window_of(seen, m, POLICY.answers)
                gap = gap_test(sample, references[m].meaning, level=POLICY.gap_level, n_draws=999)
                judged = (judge_f1(realised, references[m].f1, POLICY), judge_gap(realised, gap, POLICY))
                found[m].append((not lacking, *(one.health is Health.ALERT for one in judged)))
        for m, rows in found.items():
            judged_share, below, gaps = np.mean(np.array(rows, float), axis=0)
            yield f"| {kind} | {m} | {n_labels:,} | {judged_share:.0%} | {below:.1%} | {gaps:.1%} |"


def reference_of(half: Pool, model: str, days: np.ndarray | None, profile: Profile) -> Reference:
    """Return what a release would know of these held-out predictions."""
    p = half.probability[model]
    assert half.table is not None
    f1 = evaluate(half.table, p, half.threshold[model], profile, seed=3, n_bootstrap=200)["f1"]
    return Reference(fit_meaning(half.labels, p, days), f1)


def inputs_alike(pool: Pool, profile: Profile, n_windows: int, seed: int) -> str:
    """Return how often the domain classifier tells two random halves of the same days apart."""
    rng = np.random.default_rng(seed + 21)
    verdicts = []
    for _ in range(max(2, n_windows // WINDOWS_PER_REFERENCE)):
        one, _, other = halves(pool, rng)
        assert one.table is not None and other.table is not None
        verdicts.append(compare_stretches(one.table, other.table, profile).verdict)
    n = len(verdicts)
    return f"{verdicts.count('drift')} of {n} ({verdicts.count('insufficient evidence')} not judged)"


def by_segment(
    pool: Pool, profile: Profile, n_windows: int, seed: int, n_labels: int = 1000
) -> Iterator[str]:
    """Yield how many segments are judged, and how many raise an alert, without and with drift in one."""
    assert pool.table is not None
    category = pool.table.texts["category"]
    target = category.values.index("electronics")
    for kind in ("none", "new hidden frauds in electronics"):
        rng = np.random.default_rng(seed + 14)
        judged, wrong, right = [], [], []
        for _ in range(n_windows):
            reference, days, rest = halves(pool, rng)
            references = {
                m: Reference(fit_meaning(reference.labels, reference.probability[m], days), None)
                for m in MODELS
            }
            window = rest.take(rng.choice(len(rest.labels), N, replace=False))
            assert window.table is not None and reference.table is not None
            if kind != "none":
                there = (window.table.texts["category"].codes == target) & ~window.alerted("xgboost")
                labels = np.where(there & (rng.random(N) < 0.03), 1.0, window.labels)
                window = replace(window, labels=labels)
            edges = amount_edges(reference.table.numbers["amount"])
            observed = observations(window, chances(window, n_labels), rng)
            found = assess_segments(observed, profile, references, edges, SegmentPolicy())
            alerts = [a for a in found if a.judgement.health is Health.ALERT]
            own = [a for a in alerts if a.segment.level == "electronics"]
            judged.append(sum(a.gap is not None for a in found) / len(found))
            wrong.append(len(alerts) > len(own) if kind != "none" else bool(alerts))
            right.append(bool(own))
        yield f"| {kind} | {np.mean(judged):.0%} | {np.mean(right):.0%} | {np.mean(wrong):.1%} |"


def observations(window: Pool, pi: np.ndarray, rng: np.random.Generator) -> Observations:
    assert window.table is not None
    order = np.argsort(window.table.times(), kind="stable")
    window, pi = window.take(order), pi[order]
    assert window.table is not None
    n = len(pi)
    asked = rng.random(n) < pi
    return Observations(
        predicted_ms=window.table.times(),
        version=Coded(np.zeros(n, np.int32), ("1.0.0",)),
        answers={m: ModelAnswers(window.probability[m], window.alerted(m)) for m in MODELS},
        labels=np.where(asked, window.labels, np.nan),
        standing=np.where(asked, Standing.CONFIRMED, Standing.UNKNOWN).astype(np.int8),
        volunteered=np.zeros(n, bool),
        audit_asked=asked,
        audit_probability=pi,
        latency_ms=np.ones(n),
        transactions=window.table,
    )


def print_coverage(pool: Pool, options: argparse.Namespace) -> None:
    """Print how often intervals hold."""
    print("## Does the interval of F1 contain the truth of its window?\n")
    print(
        f"Judged: at least {POLICY.min_frauds} frauds among at least {POLICY.min_answers} answers. Normal: "
        "F1 +- 1.96 sd of `audited_f1`. Naive: all known labels unweighted, its mean error.\n"
    )
    print(
        "| window | model | true F1 | frauds among the answers, median | judged | covered, judged "
        "| covered, all | covered, normal interval | mean width | bias | sd | naive figure's error |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for scenario in options.scenarios:
        for line in coverage(replace(pool, table=None), scenario, options.windows, options.seed):
            print(line, flush=True)
    scores = options.scores
    if scores is not None:
        other = np.load(scores)
        y, p = other["y"].astype(np.float64), other["p"].astype(np.float64)
        scored = Pool(y, {scores.stem: p}, {scores.stem: 0.2})
        for n_labels in (100, 300):
            scenario = Scenario(f"{n_labels} labels, scores from {scores.stem}", n_labels)
            for line in coverage(scored, scenario, options.windows, options.seed):
                print(line, flush=True)


def print_missed(pool: Pool, options: argparse.Namespace) -> None:
    """Print where intervals fail, by how many missed frauds the lot met."""
    print("\n## Coverage by missed frauds met\n")
    print("Above: the truth lies above the upper limit of F1.\n")
    print("| window | model | missed frauds met | windows | covered | above | below |")
    print("|---|---|---:|---:|---:|---:|---:|", flush=True)
    for scenario in options.scenarios:
        for line in by_missed(replace(pool, table=None), scenario, options.windows, options.seed):
            print(line, flush=True)


def print_sharpness(pool: Pool, options: argparse.Namespace) -> None:
    """Print how much fewer labels an audit needs."""
    print("\n## 300 labels by audit and uniformly: sd of F1\n")
    print("| model | audit | uniform, same estimator | uniform, plain weights | ratio | ratio to plain |")
    print("|---|---:|---:|---:|---:|---:|")
    for line in sharpness(replace(pool, table=None), options.windows, options.seed):
        print(line, flush=True)


def print_alarms(pool: Pool, options: argparse.Namespace) -> None:
    """Print how often each alarm fires, where nothing changed and where something did."""
    print("\n## Alarms of labelled performance, and of all inputs together\n")
    print(
        "As in a run: answers that may err are allowed for. Hidden and gone as above. Shares are of all "
        "windows, judged or not.\n"
    )
    print("| change | model | labels | judged | F1 below held-out | gap |\n|---|---|---:|---:|---:|---:|")
    profile = load_profile("cards")
    for line in alarms(pool, profile, options.windows, options.seed):
        print(line, flush=True)
    told = inputs_alike(pool, profile, options.windows, options.seed)
    print(f"\nThe domain classifier told two random halves of the same days apart: {told}.")


def print_estimates(pool: Pool, options: argparse.Namespace) -> None:
    """Print how CBPE and the gap alarm do."""
    print("\n## Estimated performance and the gap alarm\n")
    print(
        "Scores are given their meaning on a random half of the held-out days; windows come from the other "
        "half, covariates tilted at random. Share of windows whose figures lie within CBPE's limits (the "
        f"first {CBPE_WINDOWS}), and how often the gap alarm (level {POLICY.gap_level:.0%}) fires. Hidden: "
        "as many new frauds again, none of them suspected. Gone: half of the frauds found are none any more."
        "\n"
    )
    print(
        "| change | model | labels | F1 | precision | recall | AUC | AP | CBPE's F1 error | judged | alarm |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for line in estimates(pool, options.windows, options.seed):
        print(line, flush=True)


def print_segments(pool: Pool, options: argparse.Namespace) -> None:
    """Print how segments are judged."""
    n_windows = max(min(20, options.windows), options.windows // 10)
    print("\n## Segments\n")
    print(f"{n_windows} windows, 1,000 labels each; both models; false discovery rate 5%.\n")
    print("| drift | segments judged | found where it is | windows with an alert elsewhere |")
    print("|---|---:|---:|---:|")
    for line in by_segment(pool, load_profile("cards"), n_windows, options.seed):
        print(line, flush=True)


PARTS = {
    "coverage": print_coverage,
    "missed": print_missed,
    "sharpness": print_sharpness,
    "estimates": print_estimates,
    "alarms": print_alarms,
    "segments": print_segments,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=17, help="of everything that is drawn")
    parser.add_argument("--next", type=float, help="the part of a next fraud in upper limits")
    parser.add_argument("--scores", type=Path, help="npz with p and y: another model's scores")
    parser.add_argument("--scenarios", default="", help="numbers of the windows to draw, from 0 (all)")
    parser.add_argument("--only", choices=tuple(PARTS))
    options = parser.parse_args()
    if options.next is not None:
        intervals.NEXT = options.next
    chosen = [int(n) for n in options.scenarios.split(",")] if options.scenarios else range(len(SCENARIOS))
    options.scenarios = [SCENARIOS[n] for n in chosen]
    pool = shipped()
    print("# Performance under monitoring\n")
    print(f"`python -m benchmarks.monitoring_performance {' '.join(sys.argv[1:])}`\n")
    print(f"Python {platform.python_version()}; windows of {N:,} predictions; 95% intervals.\n")
    for name in [options.only] if options.only else PARTS:
        PARTS[name](pool, options)


if __name__ == "__main__":
    main()
