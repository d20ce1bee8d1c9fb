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
