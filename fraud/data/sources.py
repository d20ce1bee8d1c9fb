"""Where a training table comes from: a file, or the built-in simulator."""

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from fraud.data.profile import Profile
from fraud.data.table import Transactions, read_table, transactions_from_frame
from fraud.errors import TableError


def load_transactions(profile: Profile, path: Path | None) -> tuple[Transactions, dict[str, Any]]:
    """Return the training table and a record of its origin (kind, digest, parameters) for the manifest.

    Raises
    ------
    TableError
        No file was named and the profile has no simulator, or the table breaks the profile.
    """
    if path is not None:
        frame = read_table(path)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return transactions_from_frame(frame, profile), {
            "source": "file",
            "name": path.name,
            "sha256": digest,
        }
    source = profile.source
    if source.simulator is None:
        raise TableError(
            f'The profile "{profile.name}" has no built-in data; name a table with --data FILE.',
            code="no_data",
        )
    frame = simulated_frame(profile)
    digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
    origin = {"source": "simulator", "name": source.simulator, "sha256": digest}
    return transactions_from_frame(frame, profile), origin | source.model_dump(exclude={"simulator"})


def simulated_frame(profile: Profile) -> pd.DataFrame:
    """Return the table that the profile's simulator writes for its declared size, length and seed."""
    from fraud.data.simulate import simulate

    source = profile.source
    return simulate(n_transactions=source.n_transactions, days=source.days, seed=source.seed)
