"""Which rows of a past the history features of later transactions can still look back on."""

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import NEVER_MS, Transactions


def rows_in_reach(transactions: Transactions, profile: Profile, from_ms: int) -> NDArray[np.intp]:
    """Return the rows without which some feature of a transaction at `from_ms` or later would change.

    Windows look back on times, and, where they count frauds, on when labels became known, which may be months
    later. What is said since the last transaction looks back however long ago that was.

    Parameters
    ----------
    transactions : in the order of their time
    from_ms : epoch milliseconds
    """
    time, features = transactions.times(), profile.features
    since_ms = from_ms - features.longest_window_ms
    # Silence makes a label known after the delay, so such a row is in a window that much longer.
    kept = time >= since_ms - int(features.label_delay_days * DAY_MS)
    kept |= (transactions.known_at_ms != NEVER_MS) & (transactions.known_at_ms >= since_ms)
    earlier = np.flatnonzero(time < from_ms)
    for by in {aggregate.by for aggregate in features.history if aggregate.last}:
        codes = np.stack([transactions.texts[name].codes[earlier] for name in by])
        _, newest = np.unique(codes[:, ::-1], axis=1, return_index=True)
        kept[earlier[len(earlier) - 1 - newest]] = True
    return np.flatnonzero(kept)
