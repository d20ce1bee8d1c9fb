"""What card precision in the top 100 could come to on the Handbook's data, if nothing knowable were missed.

    python -m benchmarks.ceiling ../shared/data

The simulator's frauds of scenario 2 are ordinary payments at a compromised terminal. Until the terminal's
first fraud has become known (seven days) they differ in nothing from its other payments, so no model can rank
them but by chance. The ceiling here is the figure of a reviewer who is told every other fraud: all of
scenarios 1 (large amounts) and 3 (five times a customer's own), and those of 2 whose terminal had a fraud
that became known in the last 28 days; the rest in random order, mean over draws. Scenarios are read for this
table only; no model sees them. Printed for folds before the test window, and for the test window.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.features.history import History
from fraud.models.evaluate import card_precision
from fraud.models.folds import prequential_folds
from fraud.models.split import split

KNOWN = "TERMINAL_ID_n_frauds_28d"
COMPROMISED_TERMINAL = "2"


def ceiling(part: Transactions, history: History, profile: Profile, draws: int) -> str:
    """Return one row of the table."""
    assert part.typology is not None and profile.main_entity is not None
    fraud = part.labels == 1
    known = np.nan_to_num(history.features(part)[KNOWN]) > 0
    ordinary = fraud & (part.typology == COMPROMISED_TERMINAL) & ~known
    column, k = profile.main_entity.column, profile.costs.precision_at

    def precision(told: NDArray[np.bool_], draw: int) -> float:
        chance = np.random.default_rng(draw).random(len(part)) / 1000
        return card_precision(part, told + chance, column, k)

    every = precision(fraud, 0)
    reached = np.array([precision(fraud & ~ordinary, draw) for draw in range(draws)])
    counts = f"{int(fraud.sum())} | {int(ordinary.sum())}"
    return f"{counts} | {every:.4f} | {reached.mean():.4f} ({reached.std(ddof=1):.4f}) |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--draws", type=int, default=20)
    options = parser.parse_args()
    profile = load_profile("handbook")
    table, _ = load_transactions(profile, options.directory / "handbook_simulated.parquet")
    history = History.of(table, profile)
    print(
        "| part | frauds | of them not knowable | CP@100 told all | told all that is knowable (sd of draws) |"
    )
    print("|---|---|---|---|---|")
    parts = {
        f"fold {number}": fold.validation
        for number, fold in enumerate(prequential_folds(table, profile, options.folds), 1)
    }
    for name, rows in (parts | {"test window": split(table, profile, 7).test}).items():
        print(f"| {name} | {ceiling(table.take(rows), history, profile, options.draws)}", flush=True)


if __name__ == "__main__":
    main()
