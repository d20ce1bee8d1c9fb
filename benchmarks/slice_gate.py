"""How often the slice gate refuses: a challenger that is the champion's equal, and one that was attacked.

`python -m benchmarks.slice_gate` prints the table of results/slice_gate.md. A simulated held-out window:
cards with several frauds each (so rows depend on each other), 12 categories x 3 channels and their pairs, two
models whose errors are correlated. An equal challenger is another draw of the same recipe.
"""

import sys
import time
from dataclasses import dataclass

import numpy as np

from fraud.retraining.slice_gate import SliceFindings, SlicePolicy, judge_slices

BURST = 4
"""Frauds of one card: of the simulator's held-out windows 42 frauds were 9 cards, 127 were 29."""
ATTACKED = "category=0 and channel=0"


@dataclass(frozen=True)
class Window:
    """A held-out window before any model has seen it."""

    labels: np.ndarray
    cards: np.ndarray
    slices: dict[str, np.ndarray]
    ease: np.ndarray
    """How easily each row is flagged, shared by all models."""


def window(rng: np.random.Generator, n_frauds: int) -> Window:
    """Return frauds in bursts by card, and the four times as many legitimate rows that a model may flag."""
    n_rows = n_frauds * 5
    labels = (np.arange(n_rows) < n_frauds).astype(float)
    bursts, others = rng.integers(0, n_frauds // BURST, n_frauds), rng.integers(0, 4 * n_frauds, 4 * n_frauds)
    cards = np.concatenate([bursts, n_frauds + others])
    category = rng.choice(12, n_rows, p=np.array([4, *[1] * 11]) / 15)
    channel = rng.choice(3, n_rows, p=[0.5, 0.3, 0.2])
    slices = {f"category={i}": category == i for i in range(12)}
    slices |= {f"channel={i}": channel == i for i in range(3)}
    pairs = [(i, j) for i in range(12) for j in range(3)]
    slices |= {f"category={i} and channel={j}": (category == i) & (channel == j) for i, j in pairs}
    card_ease = rng.normal(0, 1, int(cards.max()) + 1)[cards]
    ease = np.where(labels == 1, 1.2, -1.6) + 0.7 * card_ease + rng.normal(0, 0.7, n_rows)
    return Window(labels, cards, slices, ease)


def alerts(rng: np.random.Generator, w: Window, lost: float, noise: float, cut: float = 0.0) -> np.ndarray:
    """Return a model's alerts; of the attacked slice's frauds it loses a share `lost`."""
    flagged = w.ease + rng.normal(0, noise, len(w.ease)) > cut
    hit = w.slices[ATTACKED] & (w.labels == 1) & (rng.random(len(w.ease)) < lost)
    return flagged & ~hit


def once(
    seed: int, n_frauds: int, lost: float, noise: float, policy: SlicePolicy, cut: float = 0.0
) -> SliceFindings:
    rng = np.random.default_rng(seed)
    w = window(rng, n_frauds)
    pairs = {
        model: (alerts(rng, w, 0.0, noise), alerts(rng, w, lost, noise, cut))
        for model in ("random_forest", "xgboost")
    }
    return judge_slices(w.labels, w.cards, w.slices, pairs, policy)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    started = time.perf_counter()
    policy = SlicePolicy()
    print("| frauds | noise | taken from the slice | cut-off | refused | by the slice | judged |")
    print("|---|---|---|---|---|---|---|")
    for n_frauds, noise in ((500, 0.3), (1000, 0.3), (1000, 0.8)):
        for lost, cut in ((0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (0.2, 0.0), (0.36, 0.0)):
            found = [once(seed, n_frauds, lost, noise, policy, cut) for seed in range(n)]
            refused = np.mean([bool(f.harmed) for f in found])
            by_slice = np.mean([any(h.slice == ATTACKED for h in f.harmed) for f in found])
            judged = np.median([len(f.judged) for f in found])
            words = "same" if cut == 0 else "higher"
            row = (
                f"{n_frauds} | {noise} | {lost:.2f} | {words} | {refused:.3f} | {by_slice:.3f} | {judged:.0f}"
            )
            print(f"| {row} |", flush=True)
    print(f"{n} windows a row; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
