"""The same data, labels and seed give the same models, byte for byte."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.poison import hostile_events
from fraud.data.profile import Profile
from fraud.data.sources import load_transactions
from fraud.feedback.trust import TrustPolicy, decide
from fraud.models.bundle import FEATURES_FILE, REFERENCE_FILE, SERVING_FILES, digest
from fraud.models.bundle_writer import write_bundle
from fraud.models.examples import choose_examples
from fraud.models.split import split
from fraud.models.train import train
from fraud.retraining.feedback_rows import feedback_rows

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def build(profile: Profile, directory: Path, seed: int) -> dict[str, str]:
    table, source = load_transactions(profile, None)
    recent = np.arange(len(table) // 3, len(table))
    table = table.take(recent)
    plan = split(table, profile, seed)
    labels = decide(hostile_events(table, plan, profile, 12), TrustPolicy.naive(), as_of=NOW).labels
    rows = feedback_rows(labels, table, plan, profile, NOW)
    assert rows.n_used > 0
    training = train(rows.base, profile, seed=seed, additions=rows.additions, plan=plan)
    write_bundle(
        training,
        directory,
        version="1.0.1",
        data_source=source,
        examples=choose_examples(training),
        parity_rows=5_000,
    )
    return {
        path: digest(directory / path) for path in (*SERVING_FILES.values(), FEATURES_FILE, REFERENCE_FILE)
    }


def test_the_same_inputs_and_seed_give_the_same_bytes_and_another_seed_does_not(
    small_profile: Profile, tmp_path: Path
) -> None:
    first, again, other = (build(small_profile, tmp_path / str(i), seed) for i, seed in enumerate((7, 7, 8)))
    assert first == again
    assert all(first[path] != other[path] for path in SERVING_FILES.values())
