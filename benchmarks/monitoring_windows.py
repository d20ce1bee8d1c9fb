"""Windows of predictions whose whole truth is known, drawn from the shipped models' held-out rows.

What the benchmarks of labelled performance share: the rows, who is asked about them, who speaks unasked, and
what a change does to them.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from fraud.data.profile import DAY_MS, load_profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.feedback.audit import AuditPolicy
from fraud.monitoring.verdicts import EvidencePolicy
from fraud.records import MODELS

BUNDLE = Path("artifacts")
N = 20_000
POLICY = EvidencePolicy()


@dataclass(frozen=True)
class Pool:
    """Held-out predictions with their labels: what windows are drawn from."""

    labels: np.ndarray
    probability: dict[str, np.ndarray]
    threshold: dict[str, float]
    table: Transactions | None = None
    day: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Pool":
        """Return the rows at these positions."""
        probability = {name: p[rows] for name, p in self.probability.items()}
        table = None if self.table is None else self.table.take(rows)
        day = None if self.day is None else self.day[rows]
        return Pool(self.labels[rows], probability, self.threshold, table, day)

    def alerted(self, name: str) -> np.ndarray:
        """Return whether a model alerts, row by row."""
        return self.probability[name] >= self.threshold[name]


def shipped() -> Pool:
    found = pd.read_parquet(BUNDLE / "resultados" / "predicoes_teste.parquet")
    manifest = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))
    cut = {name: manifest["models"][name]["thresholds"]["review"] for name in MODELS}
    table, _ = load_transactions(load_profile("cards"), None)
    place = {identity: row for row, identity in enumerate(table.ids.tolist())}
    rows = np.array([place[identity] for identity in found["id"]])
    scores = {name: found[name].to_numpy(np.float64) for name in MODELS}
    table = table.take(rows)
    return Pool(found["label"].to_numpy(np.float64), scores, cut, table, table.times() // DAY_MS)


def chances(window: Pool, n_labels: int, uniform: bool = False) -> np.ndarray:
    """Return pi as the sampler sets it, scaled so that `n_labels` lots fall on average."""
    n = len(window.labels)
    if uniform:
        return np.full(n, n_labels / n)
    f1, floor = 0.5, AuditPolicy().floor
    p = np.mean(list(window.probability.values()), axis=0)
    squares = [
        np.where(window.alerted(m), 4 * p * (1 - f1) ** 2 + (1 - p) * f1**2, f1**2 * p)
        for m in window.probability
    ]
    size = np.sqrt(np.mean(squares, axis=0))
    pi = n_labels / n * (floor + (1 - floor) * size / size.mean())
    for _ in range(30):
        pi = np.minimum(1.0, pi * n_labels / np.minimum(1.0, pi).sum())
    return pi


def draw(pool: Pool, rng: np.random.Generator, rate: float | None = None, hidden: float = 0.0) -> Pool:
    """Return N rows with replacement, at another fraud rate, or with new frauds that no model suspects."""
    weight = None
    if rate is not None:
        base = pool.labels.mean()
        weight = np.where(pool.labels == 1, rate / base, (1 - rate) / (1 - base))
        weight = weight / weight.sum()
    rows = rng.choice(len(pool.labels), N, p=weight) if rate else rng.integers(0, len(pool.labels), N)
    window = pool.take(rows)
    unsuspected = ~np.any([window.alerted(m) for m in pool.probability], axis=0)
    labels = np.where(unsuspected & (rng.random(N) < hidden), 1.0, window.labels)
    return replace(window, labels=labels)


def f1_of(labels: np.ndarray, alerted: np.ndarray) -> float:
    return float(2 * labels[alerted].sum() / (alerted.sum() + labels.sum()))


def volunteered(labels: np.ndarray, alerted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = np.where(labels == 1, np.where(alerted, 0.1, 0.6), np.where(alerted, 0.3, 0.001))
    return rng.random(len(labels)) < chance


def halves(pool: Pool, rng: np.random.Generator) -> tuple[Pool, np.ndarray | None, Pool]:
    """Return a reference of half the days, its days, and the other days; without days, of half the rows."""
    if pool.day is None:
        half = np.array_split(rng.permutation(len(pool.labels)), 2)
        return pool.take(half[0]), None, pool.take(half[1])
    day = pool.day
    days = rng.permutation(np.unique(day))
    own = np.isin(day, days[: len(days) // 2])
    return pool.take(np.flatnonzero(own)), day[own], pool.take(np.flatnonzero(~own))


def tilted(pool: Pool, rng: np.random.Generator) -> Pool:
    """Return N rows in which covariates are other than they were: amounts, hours, channel, category."""
    assert pool.table is not None
    table = pool.table
    amount = np.log(table.numbers["amount"])
    hour = (table.times() % DAY_MS) / DAY_MS * 2 * np.pi
    terms = [(amount - amount.mean()) / amount.std(), np.sin(hour), np.cos(hour)]
    push = sum(rng.normal(0, 0.4) * term for term in terms)
    for column in ("channel", "category"):
        coded = table.texts[column]
        push = push + rng.normal(0, 0.4, len(coded.values))[coded.codes]
    weight = np.exp(push)
    # Without replacement: a window is a sample of what happens, not of the few frauds of a pool.
    return pool.take(rng.choice(len(pool.labels), N, replace=False, p=weight / weight.sum()))


def drifted(window: Pool, kind: str, rng: np.random.Generator) -> Pool:
    labels, n = window.labels.copy(), len(window.labels)
    suspected = np.any([window.alerted(m) for m in window.probability], axis=0)
    if kind == "hidden":  # a new kind of fraud that looks honest, as many again as there were
        labels[~suspected & (rng.random(n) < labels.mean())] = 1.0
    elif kind == "gone":  # half of what the models find is not fraud any more
        labels[suspected & (rng.random(n) < 0.5)] = 0.0
    return replace(window, labels=labels)
