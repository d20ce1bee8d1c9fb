"""A compiled loop that fills the nodes of a grown tree from training rows."""

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True)
def fill_leaves(
    features: NDArray[np.float32],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    missing_left: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Send rows [n, d] through one tree; return the rows, fraud weight and weight of each of its m nodes.

    A row goes left if its value is <= the threshold; a leaf has left = -1. A node that no row reaches is
    given its parent's shares with a weight too small to matter, so that a later row that does reach it is
    answered like its parent's.
    """
    counts = np.zeros(left.size, np.int64)
    frauds = np.zeros(left.size, np.float64)
    totals = np.zeros(left.size, np.float64)
    for i in range(features.shape[0]):
        node = 0
        while True:
            counts[node] += 1
            frauds[node] += weights[i] * labels[i]
            totals[node] += weights[i]
            if left[node] < 0:
                break
            value = features[i, feature[node]]
            goes_left = missing_left[node] if value != value else value <= threshold[node]
            node = left[node] if goes_left else right[node]
    for node in range(left.size):
        if left[node] >= 0:
            for child in (left[node], right[node]):
                if totals[child] == 0.0:
                    totals[child] = 1e-9 * totals[node]
                    frauds[child] = 1e-9 * frauds[node]
    return counts, frauds, totals
