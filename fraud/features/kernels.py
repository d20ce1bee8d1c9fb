"""Compiled loops over histories: plain arrays in, plain arrays out, for `fraud.features.history`."""

import numba
import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@numba.njit(cache=True, nogil=True)
def first_at_or_after(times: I64, low: int, high: int, moment: int) -> int:
    """Return the first position in times[low:high] (sorted) whose time is >= moment; `high` if none."""
    while low < high:
        middle = (low + high) // 2
        if times[middle] < moment:
            low = middle + 1
        else:
            high = middle
    return low


@numba.njit(cache=True, nogil=True)
def window_sums(
    offsets: I64, times: I64, running: I64, group: I64, moment: I64, windows: I64, order: I64
) -> tuple[I64, I64]:
    """Count and sum the events of each query's group in [moment - window, moment).

    Parameters
    ----------
    offsets : int64 [n_groups + 1], where each group's events start
    times : int64 [n_events], ms, ascending within a group
    running : int64 [n_events + 1], exclusive running sum of the value over all events
    group, moment : int64 [n]; group -1 is an entity never seen
    windows : int64 [n_windows], ms
    order : int64 [n], the queries by group: neighbours then look at the same memory

    Returns
    -------
    counts, sums : int64 [n_windows, n]
    """
    counts = np.zeros((windows.size, group.size), np.int64)
    sums = np.zeros((windows.size, group.size), np.int64)
    for i in order:
        g = group[i]
        if g < 0:
            continue
        low, high = offsets[g], offsets[g + 1]
        end = first_at_or_after(times, low, high, moment[i])
        for w in range(windows.size):
            begin = first_at_or_after(times, low, end, moment[i] - windows[w])
            counts[w, i] = end - begin
            sums[w, i] = running[end] - running[begin]
    return counts, sums


@numba.njit(cache=True, nogil=True)
def window_spread(
    offsets: I64, times: I64, running: I64, group: I64, moment: I64, windows: I64, order: I64
) -> tuple[F64, I64]:
    """Spread and largest of the values of each query's group in [moment - window, moment).

    Parameters as in `window_sums`. The events of a window are visited in their order, so that training and
    serving round alike.

    Returns
    -------
    squares : float64 [n_windows, n], the sum of squared deviations from the window's mean
    largest : int64 [n_windows, n], 0 where the window is empty
    """
    squares = np.zeros((windows.size, group.size), np.float64)
    largest = np.zeros((windows.size, group.size), np.int64)
    for i in order:
        g = group[i]
        if g < 0:
            continue
        low, high = offsets[g], offsets[g + 1]
        end = first_at_or_after(times, low, high, moment[i])
        for w in range(windows.size):
            begin = first_at_or_after(times, low, end, moment[i] - windows[w])
            if begin == end:
                continue
            mean = (running[end] - running[begin]) / (end - begin)
            total = 0.0
            top = running[begin + 1] - running[begin]
            for k in range(begin, end):
                value = running[k + 1] - running[k]
                total += (value - mean) * (value - mean)
                top = max(top, value)
            squares[w, i] = total
            largest[w, i] = top
    return squares, largest


COUNT, SUM, MEAN, RATIO, ZSCORE, VARIATION, MAX_RATIO, N_FRAUDS, FRAUD_RATE, RISK = range(10)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def window_values(
    functions: I64,
    counts: I64,
    cents: I64,
    squares: F64,
    largest: I64,
    known: I64,
    frauds: I64,
    amount: F64,
    prior: float,
    fewest: int,
) -> F64:
    """Return the functions of every window, float64 [n_windows * n_functions, n], a window's side by side.

    Parameters
    ----------
    functions : int64 [n_functions], codes such as MEAN
    counts, cents, squares, largest, known, frauds : [n_windows, n], of `window_sums` and `window_spread`; a
        placeholder of [n_windows, 0] where no function needs it
    amount : float64 [n], each query's own; [0] where no function needs it
    prior : added to the known rows of RISK
    fewest : events below which a window has no spread
    """
    n = max(counts.shape[1], known.shape[1])
    values = np.empty((counts.shape[0] * functions.size, n))
    for w in range(counts.shape[0]):
        for f in range(functions.size):
            function, out = functions[f], values[w * functions.size + f]
            for i in range(n):
                if function == N_FRAUDS:
                    out[i] = frauds[w, i]
                elif function == FRAUD_RATE:
                    out[i] = frauds[w, i] / np.float64(known[w, i])
                elif function == RISK:
                    out[i] = frauds[w, i] / (known[w, i] + prior)
                elif function == COUNT:
                    out[i] = counts[w, i]
                elif function == SUM:
                    out[i] = cents[w, i] / 100.0
                elif function == MAX_RATIO:
                    top = largest[w, i] / 100.0
                    out[i] = amount[i] / top if top > 0.0 else np.nan
                else:
                    count = np.float64(counts[w, i])
                    mean = cents[w, i] / 100.0 / count
                    divisor = mean if mean != 0.0 else np.nan
                    if function == MEAN:
                        out[i] = mean
                    elif function == RATIO:
                        out[i] = amount[i] / divisor
                    else:
                        # One or two payments have no spread worth the name.
                        spread = np.sqrt(squares[w, i] / count) / 100.0 if count >= fewest else np.nan
                        # A floor of a hundredth: a card that always pays the same is not surprised for ever.
                        floor = max(abs(mean), 1.0) / 100.0
                        if function == VARIATION:
                            out[i] = spread / divisor
                        elif np.isnan(spread):
                            out[i] = np.nan
                        else:
                            out[i] = (amount[i] - mean) / max(spread, floor)
    return values


@numba.njit(cache=True, nogil=True)
def last_before(offsets: I64, times: I64, group: I64, moment: I64) -> I64:
    """Return the position of each query's newest event strictly before its moment; -1 if there is none."""
    found = np.full(group.size, -1, np.int64)
    for i in range(group.size):
        g = group[i]
        if g < 0:
            continue
        end = first_at_or_after(times, offsets[g], offsets[g + 1], moment[i])
        if end > offsets[g]:
            found[i] = end - 1
    return found


@numba.njit(cache=True, nogil=True)
def kilometres(latitude_a: F64, longitude_a: F64, latitude_b: F64, longitude_b: F64) -> F64:
    """Return great-circle distances in km between positions in degrees (haversine, R = 6371.0088 km)."""
    result = np.empty(latitude_a.size, np.float64)
    for i in range(latitude_a.size):
        a, b = np.radians(latitude_a[i]), np.radians(latitude_b[i])
        half_lat = np.sin((b - a) / 2.0)
        half_lon = np.sin(np.radians(longitude_b[i] - longitude_a[i]) / 2.0)
        h = half_lat * half_lat + np.cos(a) * np.cos(b) * half_lon * half_lon
        result[i] = 2.0 * 6371.0088 * np.arcsin(np.sqrt(min(1.0, h))) if h == h else np.nan
    return result
