"""The dataset card: what the feedback dataset holds, for people and for `datasets.load_dataset`."""

import re
from typing import Final

from fraud.feedback.events import COLUMNS, SCHEMA_VERSION
from fraud.feedback.shards import SHARDS

CARD_PATH: Final = "README.md"

_TEXT = f"""\
# Feedback on fraud predictions

Each line is one event. A submission is two of them: the `prediction` that was shown, with both models' scores
and the versions that gave them, and the `flag`, a person's word on it. They share `prediction_id`. A `review`
is a maintainer's finding on the flag that its `about_event_id` names. A `prediction` without a flag was kept
to watch the models, by a consent of its own (`consent_version` begins with `keep-`). Events are only ever
added: a correction is a new flag, and the earlier one stays. The exception is a `withdrawal`: the flag that
it names with what was shown, or the kept prediction, is removed, and the withdrawal stays in its place.

- Schema version {SCHEMA_VERSION}; every row has every column, null where it does not apply.
- Times are epoch milliseconds, UTC. `transaction_json` and `history_json` are JSON texts.
- `content_digest` is equal for equal profile, transaction and history.
- `event_id` is unique; a prediction that was kept and flagged, or flagged twice, is there twice, and once is
  enough: its rows differ in `node` and `consent_version` only.
- `audit_probability` is the chance with which a person was to be asked about the prediction, whatever they
  thought of it, and `audit_asked` whether they were; null where no lot was drawn.
- `answers_audit` says of a flag whether it answers the question that the lot put; false where it was
  volunteered, null in older rows, of which nobody knows.
- Rows of an older schema version lack its later columns; they read as null.

Flags are volunteered, so they over-represent mistakes: a metric on flags alone is biased. Every row was kept
with the consent named in `consent_version`.
"""


_VERSION = re.compile(rb"^- Schema version (\d{1,6});", re.MULTILINE)


def schema_version_of(card: bytes) -> int | None:
    """Return the schema version that a card says it describes; None if it says none."""
    found = _VERSION.search(card)
    return None if found is None else int(found[1])


def dataset_card() -> str:
    """Return README.md.

    The features are declared, because readers otherwise take the type of a column from its first shard, and a
    column that is null there fails as soon as a later shard has a value. The files are declared, because a
    reader otherwise guesses splits from file names.
    """
    features = "".join(f"  - name: {name}\n    dtype: {dtype}\n" for name, dtype in COLUMNS.items())
    return (
        "---\n"
        "pretty_name: Fraud prediction feedback\n"
        "configs:\n"
        "- config_name: default\n"
        "  data_files:\n"
        "  - split: train\n"
        f'    path: "{SHARDS}"\n'
        "dataset_info:\n"
        "  config_name: default\n"
        "  features:\n"
        f"{features}"
        "---\n\n"
        f"{_TEXT}"
    )
