"""Whether a window's columns and scores are still distributed as in the reference.

A column drifts if a difference is *there* (its p-value, corrected over all tests of the report) and *matters*
(its effect is above a stated minimum). Rows are not taken for independent, and calendars are matched:
`fraud.monitoring.comparing` says how, and what is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fraud.data.profile import DAY_MS
from fraud.data.sketch import HOURS_PER_CELL, LevelBins, NumberBins
from fraud.data.table import Floats
from fraud.models.reference import Batch, Column, Kind, Reference, Sketch, Tally
from fraud.monitoring.comparing import Samples, distribution, hours, missing, variation_is_known
from fraud.monitoring.drift_records import Aspect, ColumnDrift, Curve, DriftReport, Reason, Test, Verdict
from fraud.monitoring.drift_statistics import (
    benjamini_hochberg,
    chi_squared,
    jensen_shannon,
    kolmogorov_smirnov,
    psi,
    two_proportions,
    wasserstein,
)
from fraud.monitoring.observations import Observations

HOUR = "hour"
_WEEK = 7
_CURVE_BARS = 40


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """When a difference counts.

    Attributes
    ----------
    false_discovery_rate : of all tests of a report; without any drift, its chance of a false alarm
    psi : least PSI of a number; 0.05 is a shift of about 0.22 standard deviations
    jensen_shannon : least distance of a category, the same size as that PSI (JS is about PSI / 8 in nats)
    missing, unseen : least difference of the share of missing values, least share of unseen levels
    rate_ratio : least ratio, up or down, of alert rates and the disagreement rate
    effective_rows : rows that a verdict of "ok" needs
    least_rows : effective rows below which nothing is tested
    """

    false_discovery_rate: float = 0.05
    psi: float = 0.05
    jensen_shannon: float = 0.1
    missing: float = 0.01
    unseen: float = 0.005
    rate_ratio: float = 1.5
    effective_rows: float = 100.0
    least_rows: float = 10.0


DEFAULT_LIMITS = DriftLimits()


def start_window(reference: Reference) -> Tally:
    """Return where a window's batches are counted, on the bins of the reference."""
    return Tally(reference.layout)


def batch_of(observations: Observations) -> Batch:
    """Return predictions as a batch of a window."""
    answers = observations.answers.items()
    return Batch(
        observations.transactions,
        {model: answer.probability for model, answer in answers},
        {model: answer.alerted for model, answer in answers},
    )


def year_before(start_ms: int, end_ms: int) -> tuple[int, int]:
    """Return the like period of a window: 52 weeks earlier, so that weekdays stay."""
    return start_ms - 364 * DAY_MS, end_ms - 364 * DAY_MS


def without_reference(n_rows: int) -> DriftReport:
    """Return the report for a release that was made before releases had a reference."""
    return DriftReport(
        "insufficient evidence", (Reason("no_reference"),), (), n_rows, 0, DEFAULT_LIMITS.false_discovery_rate
    )


def measure_drift(
    reference: Reference,
    window: Sketch,
    *,
    like_period: Sketch | None = None,
    limits: DriftLimits = DEFAULT_LIMITS,
) -> DriftReport:
    """Compare a window with the reference, column by column.

    Parameters
    ----------
    window : what `start_window(reference)` counted
    like_period : the window's counterpart a year before, counted in the same way. A column that differs
        from the reference and not from it has changed with the season: it is "ok", and says so. Of a
        season that the log has not seen yet nothing can be known, and the report says that.

    Returns
    -------
    DriftReport
        Columns in the order of the layout, then `hour`, the time of day.
    """
    columns = _judge_all(reference, window, limits)
    if like_period is not None:
        columns = [
            _with_season(a, b, limits)
            for a, b in zip(columns, _judge_all(like_period, window, limits), strict=True)
        ]
    verdict, reason = _overall(columns, window)
    return DriftReport(
        verdict=verdict,
        reasons=(reason,),
        columns=tuple(columns),
        n_rows=window.n_rows,
        n_days=window.n_days,
        false_discovery_rate=limits.false_discovery_rate,
        assumptions=(*_assumptions(reference, window), _season(like_period, limits)),
        rows_per_day=window.n_rows / window.n_days if window.n_days else None,
        reference_rows_per_day=reference.n_rows / reference.n_days if reference.n_days else None,
    )


def _judge_all(reference: Sketch, window: Sketch, limits: DriftLimits) -> list[ColumnDrift]:
    found = [_column(reference, window, i, limits) for i in range(len(reference.layout.columns))]
    if reference.n_days and window.n_days:
        found.append(_hour(reference, window, limits))
    q_values = iter(benjamini_hochberg([test.p_value for column in found for test in column.tests]))
    return [_decide(column, [next(q_values) for _ in column.tests], limits) for column in found]


def _overall(columns: Sequence[ColumnDrift], window: Sketch) -> tuple[Verdict, Reason]:
    drifted = [column.name for column in columns if column.verdict == "drift"]
    n_judged = sum(column.verdict != "insufficient evidence" for column in columns)
    if window.n_rows == 0:
        return "insufficient evidence", Reason("no_rows")
    if drifted:
        return "drift", Reason("columns_drifted", {"n": len(drifted), "of": n_judged})
    if n_judged == 0:
        return "insufficient evidence", Reason("nothing_judged", {"n_rows": window.n_rows})
    return "ok", Reason("no_column_drifted", {"of": n_judged})


def _season(like_period: Sketch | None, limits: DriftLimits) -> Reason:
    n = 0 if like_period is None else like_period.n_rows
    return Reason("season_compared" if n >= limits.effective_rows else "season_unknown", {"n": n})


def _assumptions(reference: Sketch, window: Sketch) -> tuple[Reason, ...]:
    found = []
    if reference.n_days == 0 or window.n_days == 0:
        found.append(Reason("no_times"))
    elif not variation_is_known(reference):
        found.append(Reason("day_variation_unknown", {"days": reference.n_days}))
    found.append(Reason("same_entities" if reference.layout.entities else "no_entities"))
    return tuple(found)


def _column(reference: Sketch, window: Sketch, i: int, limits: DriftLimits) -> ColumnDrift:
    column = reference.layout.columns[i]
    values, gaps = distribution(reference, window, i), missing(reference, window, i)
    tests: list[Test] = []
    drift = ColumnDrift(
        column.name,
        column.kind,
        column.unit,
        "insufficient evidence",
        (),
        (),
        n_reference=int(reference.counts[i].total.sum()),
        n_current=int(window.counts[i].total.sum()),
        effective_rows=values.n_current if values else 0.0,
        effective_reference=values.n_reference if values else 0.0,
        missing_reference=float(gaps.reference[1]) if gaps else 0.0,
        missing_current=float(gaps.current[1]) if gaps else 0.0,
    )
    if values is not None:
        drift = _with_effects(drift, column, values, (reference, window), i)
        if values.n_current >= limits.least_rows:
            tests += _distribution_tests(drift, column, values, limits)
    if gaps is not None and gaps.n_current >= limits.least_rows and not column.is_answer:
        difference = abs(drift.missing_current - drift.missing_reference)
        found = two_proportions(
            drift.missing_reference, drift.missing_current, gaps.n_reference, gaps.n_current
        )
        tests.append(_test("missing", "two_proportions", found, "difference", difference, limits.missing))
    return replace(drift, tests=tuple(tests))


def _with_effects(
    drift: ColumnDrift, column: Column, values: Samples, sketches: tuple[Sketch, Sketch], i: int
) -> ColumnDrift:
    then, now = column.grouped(values.reference), column.grouped(values.current)
    drift = replace(
        drift,
        psi=psi(then, now, values.rows_reference, values.rows_current),
        jensen_shannon=jensen_shannon(values.reference, values.current),
    )
    bins = column.bins
    if isinstance(bins, NumberBins):
        outside = [
            np.array(sketch.counts[i].outside) / max(int(sketch.counts[i].total.sum()), 1)
            for sketch in sketches
        ]
        distance = wasserstein(
            bins.bounds, values.reference, values.current, (outside[0], outside[1]), exact=bins.exact
        )
        return replace(drift, wasserstein=distance)
    if column.kind == "rate":
        shares = float(values.reference[1]), float(values.current[1])
        return replace(drift, reference_share=shares[0], current_share=shares[1])
    new = bins.complete and values.reference[-1] == 0
    return replace(drift, unseen_share=float(values.current[-1]) if new else 0.0)


def _distribution_tests(
    drift: ColumnDrift, column: Column, values: Samples, limits: DriftLimits
) -> list[Test]:
    if column.kind == "number":
        found = kolmogorov_smirnov(values.reference, values.current, values.n)
        return [_test("distribution", "ks", found, "psi", drift.psi or 0.0, limits.psi)]
    sizes = values.n_reference, values.n_current
    if column.kind == "rate":
        then, now = drift.reference_share or 0.0, drift.current_share or 0.0
        # Half a row, so that a rate of zero has a ratio too.
        ratio = (now + 0.5 / values.rows_current) / (then + 0.5 / values.rows_reference)
        found = two_proportions(then, now, *sizes)
        return [
            _test("distribution", "two_proportions", found, "ratio", max(ratio, 1 / ratio), limits.rate_ratio)
        ]
    found = chi_squared(values.reference, values.current, *sizes)
    name = "jensen_shannon"
    tests = [
        _test("distribution", "chi_squared", found, name, drift.jensen_shannon or 0.0, limits.jensen_shannon)
    ]
    if isinstance(column.bins, LevelBins) and column.bins.complete:
        found = two_proportions(float(values.reference[-1]), drift.unseen_share, *sizes)
        tests.append(_test("unseen", "two_proportions", found, "share", drift.unseen_share, limits.unseen))
    return tests


def _test(
    aspect: Aspect, name: str, found: tuple[float, float], effect_name: str, effect: float, minimum: float
) -> Test:
    """Return a test that is not corrected yet."""
    return Test(aspect, name, found[0], found[1], 1.0, effect_name, effect, minimum, False)


def _hour(reference: Sketch, window: Sketch, limits: DriftLimits) -> ColumnDrift:
    """Judge the time of day, of windows that are long enough to have one."""
    kind: Kind = "category"
    values = hours(reference, window)
    drift = ColumnDrift(
        HOUR,
        kind,
        f"{HOURS_PER_CELL} h",
        "insufficient evidence",
        (),
        (),
        reference.n_rows,
        window.n_rows,
        values.n_current if values else 0.0,
        values.n_reference if values else 0.0,
    )
    if values is None or window.n_days < _WEEK:
        return replace(drift, reasons=(Reason("window_shorter_than_a_week", {"days": window.n_days}),))
    distance = jensen_shannon(values.reference, values.current)
    sizes = values.n_reference, values.n_current
    found = chi_squared(values.reference, values.current, *sizes)
    test = _test("distribution", "chi_squared", found, "jensen_shannon", distance, limits.jensen_shannon)
    rows = values.rows_reference, values.rows_current
    return replace(
        drift,
        tests=(test,) if values.n_current >= limits.least_rows else (),
        psi=psi(values.reference, values.current, *rows),
        jensen_shannon=distance,
    )


_CHANGED = {
    "distribution": "distribution_changed",
    "missing": "missing_changed",
    "unseen": "unseen_levels",
}


def _decide(drift: ColumnDrift, q_values: Sequence[float], limits: DriftLimits) -> ColumnDrift:
    """Return the column with corrected tests, a verdict and its reasons."""
    tests = tuple(
        replace(
            test,
            q_value=q,
            alert=q <= limits.false_discovery_rate and test.effect >= test.minimum,
        )
        for test, q in zip(drift.tests, q_values, strict=True)
    )
    alerts = [test for test in tests if test.alert]
    verdict: Verdict = "ok"
    if alerts:
        verdict = "drift"
        reasons = [
            Reason(_CHANGED[t.aspect], {"effect": t.effect, "minimum": t.minimum, "q_value": t.q_value})
            for t in alerts
        ]
    elif drift.reasons:
        return replace(drift, tests=tests)
    elif drift.n_reference == 0 or drift.n_current == 0:
        verdict, reasons = "insufficient evidence", [Reason("nothing_to_compare")]
    elif drift.effective_rows < limits.effective_rows:
        figures = {"effective_rows": round(drift.effective_rows, 1), "minimum": limits.effective_rows}
        verdict, reasons = "insufficient evidence", [Reason("too_few_rows", figures)]
    else:
        small = [t for t in tests if t.q_value <= limits.false_discovery_rate]
        reasons = [Reason("effect_too_small", {"effect": t.effect, "minimum": t.minimum}) for t in small]
    return replace(drift, tests=tests, verdict=verdict, reasons=tuple(reasons))


def _with_season(drift: ColumnDrift, like: ColumnDrift, limits: DriftLimits) -> ColumnDrift:
    """Return a column that drifted as one that did not, if it is as it was in the like period.

    That a difference is not significant does not make two stretches alike: each effect must be small too,
    which among few rows it is not.
    """
    enough = like.effective_reference >= limits.effective_rows
    alike = enough and like.verdict == "ok" and all(test.effect < test.minimum for test in like.tests)
    if drift.verdict != "drift" or not alike:
        return drift
    figures = {"psi": like.psi, "jensen_shannon": like.jensen_shannon, "n_like_period": like.n_reference}
    return replace(drift, verdict="ok", reasons=(*drift.reasons, Reason("seen_in_like_period", figures)))


def curve(reference: Reference, window: Sketch, name: str) -> Curve | None:
    """Return a column's distributions for a figure, the reference with the window's calendar.

    None where the reference has no such column, or one side no value of it.
    """
    names = [column.name for column in reference.layout.columns]
    if name not in names:
        return None
    column = reference.layout.columns[names.index(name)]
    values = distribution(reference, window, names.index(name))
    if values is None:
        return None
    bins = column.bins
    if isinstance(bins, LevelBins):
        shares = [tuple(part.tolist()) for part in (values.reference, values.current)]
        return Curve(name, column.kind, column.unit, (), (*bins.levels, "other"), shares[0], shares[1])
    edges = _bar_edges(bins.bounds, values.reference)
    then, now = ((_at(bins.bounds, part, edges), part) for part in (values.reference, values.current))
    width = np.diff(edges)
    return Curve(
        name,
        column.kind,
        column.unit,
        tuple(edges.tolist()),
        (),
        tuple((np.diff(then[0]) / width).tolist()),
        tuple((np.diff(now[0]) / width).tolist()),
        (float(then[0][0]), float(1 - then[0][-1])),
        (float(now[0][0]), float(1 - now[0][-1])),
    )


def _bar_edges(bounds: Floats, shares: Floats) -> Floats:
    """Return equal bars over the middle 98% of the reference."""
    below = np.cumsum(shares)[:-1]
    low, high = (bounds[min(int(np.searchsorted(below, q)), len(bounds) - 1)] for q in (0.01, 0.99))
    low = bounds[0] if low == bounds[1] else low  # the smallest value belongs into the first bar
    if high <= low:
        high = low + max(abs(low), 1.0) * 1e-6
    return np.linspace(low, high, _CURVE_BARS + 1)


def _at(bounds: Floats, shares: Floats, edges: Floats) -> Floats:
    """Return the distribution function at the edges, linear inside a bin."""
    below: Floats = np.interp(edges, bounds, np.cumsum(shares)[:-1])
    return below
