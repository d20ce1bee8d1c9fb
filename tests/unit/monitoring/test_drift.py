import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fraud.data.profile import DAY_MS
from fraud.data.table import Coded, Transactions
from fraud.models.reference import Batch, Sketch, Tally, build_reference, in_batches
from fraud.models.reference_file import to_json
from fraud.monitoring.drift import (
    batch_of,
    curve,
    measure_drift,
    start_window,
    without_reference,
    year_before,
)
from fraud.monitoring.drift_records import ColumnDrift, DriftReport
from fraud.monitoring.observations import ModelAnswers, Observations
from tests.unit.monitoring.tables import (
    MONDAY,
    profile,
    reference_of,
    table,
    window_of,
    with_channel,
    with_numbers,
)

WEEK = (49, 56)


@pytest.fixture(scope="module")
def reference() -> Sketch:
    return reference_of(table(np.random.default_rng(1), 40_000))


def column(report: DriftReport, name: str) -> ColumnDrift:
    return next(c for c in report.columns if c.name == name)


def week(seed: int, n: int = 4_000) -> Transactions:
    return table(np.random.default_rng(seed), n, days=WEEK)


def test_windows_without_drift_raise_few_alarms(reference: Sketch) -> None:
    reports = [measure_drift(reference, window_of(reference, week(seed, 1_500))) for seed in range(60)]
    assert sum(r.verdict == "drift" for r in reports) <= 3
    assert all(r.verdict != "insufficient evidence" for r in reports)


@pytest.mark.parametrize("factor", [1.4, 100.0, 0.01])
def test_an_amount_in_another_unit_is_found_with_its_distance(reference: Sketch, factor: float) -> None:
    rows = week(2)
    rows = with_numbers(rows, amount=rows.numbers["amount"] * factor)
    report = measure_drift(reference, window_of(reference, rows))
    amount = column(report, "amount")
    assert report.drifted == ("amount",)
    before = table(np.random.default_rng(1), 40_000).numbers["amount"]
    expected = stats.wasserstein_distance(before, rows.numbers["amount"])
    assert amount.wasserstein == pytest.approx(expected, rel=0.02)
    assert amount.reasons[0].code == "distribution_changed"


def test_a_column_gone_null_is_found(reference: Sketch) -> None:
    rows = week(3)
    report = measure_drift(
        reference, window_of(reference, with_numbers(rows, age=np.full(len(rows), np.nan)))
    )
    assert report.drifted == ("age",)
    assert column(report, "age").missing_current == 1
    assert [r.code for r in column(report, "age").reasons] == ["missing_changed"]


def test_a_new_level_is_found(reference: Sketch) -> None:
    rows = week(4)
    codes = np.where(np.arange(len(rows)) % 50 == 0, 3, rows.texts["channel"].codes)
    rows = with_channel(rows, codes, ("chip", "online", "cash", "crypto"))
    channel = column(measure_drift(reference, window_of(reference, rows)), "channel")
    assert channel.unseen_share == pytest.approx(0.02)
    assert "unseen_levels" in [r.code for r in channel.reasons]


def test_a_difference_that_does_not_matter_is_no_drift() -> None:
    reference = reference_of(table(np.random.default_rng(5), 400_000, n_cards=100_000))
    rows = table(np.random.default_rng(6), 400_000, days=WEEK, n_cards=100_000)
    rows = with_numbers(rows, amount=rows.numbers["amount"] * 1.05)
    amount = column(measure_drift(reference, window_of(reference, rows)), "amount")
    assert amount.tests[0].q_value < 1e-6
    assert amount.verdict == "ok"
    assert amount.reasons[0].code == "effect_too_small"


def test_a_window_of_one_night_is_compared_with_nights() -> None:
    rng = np.random.default_rng(7)

    def nightly(rows: Transactions) -> Transactions:
        night = (rows.times() % DAY_MS) < 6 * 3_600_000
        return with_numbers(rows, amount=rows.numbers["amount"] * np.where(night, 4, 1))

    reference = reference_of(nightly(table(rng, 40_000)))
    rows = nightly(table(rng, 800, days=(49, 50), hours=(1, 5)))
    assert column(measure_drift(reference, window_of(reference, rows)), "amount").verdict == "ok"
    day = with_numbers(rows, amount=rows.numbers["amount"] / 4)
    assert column(measure_drift(reference, window_of(reference, day)), "amount").verdict == "drift"


def test_a_weekend_is_compared_with_weekends() -> None:
    rng = np.random.default_rng(8)

    def weekly(rows: Transactions) -> Transactions:
        weekend = (rows.times() // DAY_MS - MONDAY) % 7 >= 5
        return with_numbers(rows, age=rows.numbers["age"] + np.where(weekend, 20, 0))

    reference = reference_of(weekly(table(rng, 40_000)))
    rows = weekly(table(rng, 2_000, days=(54, 56)))
    assert measure_drift(reference, window_of(reference, rows)).drifted == ()


def test_purchases_moved_to_the_night_are_found_in_a_week_and_not_judged_in_a_day(reference: Sketch) -> None:
    rng = np.random.default_rng(9)
    nights = window_of(reference, table(rng, 4_000, days=WEEK, hours=(0, 12)))
    assert measure_drift(reference, nights).drifted == ("hour",)
    hour = column(
        measure_drift(reference, window_of(reference, table(rng, 900, days=(49, 50), hours=(0, 12)))), "hour"
    )
    assert hour.verdict == "insufficient evidence"
    assert hour.reasons[0].code == "window_shorter_than_a_week"


def test_days_that_vary_together_raise_few_alarms() -> None:
    rng = np.random.default_rng(10)

    def by_day(rows: Transactions) -> Transactions:
        day = rows.times() // DAY_MS
        mood = np.random.default_rng(0).normal(0, 0.35, 400)[day - MONDAY]
        return with_numbers(rows, amount=rows.numbers["amount"] * np.exp(mood))

    reference = reference_of(by_day(table(rng, 60_000, days=(0, 56))))
    days = [by_day(table(rng, 2_000, days=(60 + i, 61 + i))) for i in range(60)]
    reports = [measure_drift(reference, window_of(reference, rows)) for rows in days]
    assert sum("amount" in r.drifted for r in reports) <= 4
    assert column(reports[0], "amount").effective_rows < 400


def test_many_rows_of_few_cards_are_worth_few_rows() -> None:
    rng = np.random.default_rng(11)
    ages = rng.integers(18, 90, 3_000).astype(float)

    def by_card(rows: Transactions) -> Transactions:
        return with_numbers(rows, age=ages[rows.texts["card"].codes])

    reference = reference_of(by_card(table(rng, 40_000)))
    few = [by_card(table(np.random.default_rng(s), 3_000, days=WEEK, n_cards=25)) for s in range(5)]
    for rows in few:
        report = measure_drift(reference, window_of(reference, rows))
        assert column(report, "age").effective_rows < 60
        assert column(report, "age").verdict == "insufficient evidence"
        assert column(report, "amount").verdict == "ok"


def test_few_rows_are_no_evidence_that_all_is_well(reference: Sketch) -> None:
    report = measure_drift(reference, window_of(reference, week(12, 40)))
    assert report.verdict == "insufficient evidence"
    assert column(report, "amount").reasons[0].code == "too_few_rows"
    assert measure_drift(reference, window_of(reference)).reasons[0].code == "no_rows"


def test_a_release_without_a_reference_says_so() -> None:
    report = without_reference(500)
    assert (report.verdict, report.reasons[0].code, report.n_rows) == (
        "insufficient evidence",
        "no_reference",
        500,
    )


def test_a_season_seen_the_year_before_is_no_drift_and_what_is_new_still_is(reference: Sketch) -> None:
    def december(rows: Transactions) -> Transactions:
        return with_numbers(rows, amount=rows.numbers["amount"] * 1.6)

    now = december(week(13))
    before = window_of(reference, december(table(np.random.default_rng(14), 4_000, days=(-315, -308))))
    plain = measure_drift(reference, window_of(reference, now))
    assert plain.drifted == ("amount",)
    seasonal = measure_drift(reference, window_of(reference, now), like_period=before)
    assert seasonal.drifted == ()
    assert column(seasonal, "amount").reasons[-1].code == "seen_in_like_period"
    more = with_numbers(now, age=now.numbers["age"] + 15)
    both = measure_drift(reference, window_of(reference, more), like_period=before)
    assert both.drifted == ("age",)


def test_a_like_period_of_a_few_rows_excuses_nothing(reference: Sketch) -> None:
    rows = week(15)
    rows = with_numbers(rows, amount=rows.numbers["amount"] * 1.6)
    few = rows.take(np.arange(0, len(rows), 100))
    report = measure_drift(reference, window_of(reference, rows), like_period=window_of(reference, few))
    assert report.drifted == ("amount",)


def test_order_batches_and_merging_change_nothing(reference: Sketch) -> None:
    rows = week(16)
    whole = window_of(reference, rows)
    shuffled = np.random.default_rng(0).permutation(len(rows))
    parts = [rows.take(part) for part in np.array_split(shuffled, 7)]
    assert to_json(window_of(reference, *parts)) == to_json(whole)
    first, second = Tally(reference.layout), Tally(reference.layout)
    for part in parts[:3]:
        first.update(Batch(part))
    for part in parts[3:]:
        second.update(Batch(part))
    first.merge(second)
    assert to_json(first.sketch()) == to_json(whole)


def test_constants_and_empty_columns_are_compared() -> None:
    rng = np.random.default_rng(17)

    def constant(rows: Transactions, value: float) -> Transactions:
        return with_numbers(rows, amount=np.full(len(rows), value), age=np.full(len(rows), np.nan))

    reference = reference_of(constant(table(rng, 5_000), 1.0))
    same = measure_drift(reference, window_of(reference, constant(week(18), 1.0)))
    assert same.drifted == ()
    assert column(same, "age").reasons[0].code == "nothing_to_compare"
    other = measure_drift(reference, window_of(reference, constant(week(19), 1.5)))
    assert other.drifted == ("amount",)
    assert column(other, "amount").wasserstein == pytest.approx(0.5)
    assert "age" in measure_drift(reference, window_of(reference, week(20))).drifted


def test_without_times_or_entities_the_report_says_what_it_assumes() -> None:
    plain = profile(timed=False, entity=False)
    rows = [replace(table(np.random.default_rng(s), 5_000, days=None)) for s in (21, 22)]
    reference = reference_of(rows[0], plain)
    report = measure_drift(reference, window_of(reference, rows[1]))
    assert report.verdict == "ok"
    assert {a.code for a in report.assumptions} == {"no_times", "no_entities", "season_unknown"}
    assert "hour" not in [c.name for c in report.columns]


def scored(rows: Transactions, seed: int, lift: float = 0.0) -> Batch:
    rng = np.random.default_rng(seed)
    logit = rng.normal(-4, 1.2, len(rows)) + lift
    probability = {m: 1 / (1 + np.exp(-logit - rng.normal(0, 0.3, len(rows)))) for m in ("a", "b")}
    return Batch(rows, probability, {m: p > 0.1 for m, p in probability.items()})


def test_scores_alert_rates_and_disagreement_are_watched() -> None:
    rng = np.random.default_rng(23)
    batch = scored(table(rng, 40_000), 1)
    reference = build_reference(profile(), lambda: in_batches(batch, 7_000))
    quiet, loud = start_window(reference), start_window(reference)
    quiet.update(scored(week(24), 2))
    loud.update(scored(week(25), 3, lift=1.0))
    assert measure_drift(reference, quiet.sketch()).drifted == ()
    report = measure_drift(reference, loud.sketch())
    assert {"score:a", "score:b", "alert:a", "alert:b", "disagreement"} <= set(report.drifted)
    rate = column(report, "alert:a")
    assert rate.reference_share is not None
    assert rate.current_share is not None
    assert rate.current_share > 2 * rate.reference_share


def test_a_window_of_predictions_is_counted_with_their_answers() -> None:
    batch = scored(table(np.random.default_rng(30), 20_000), 4)
    reference = build_reference(profile(), lambda: [batch])
    rows = week(31)
    answered = scored(rows, 5)
    answers = {m: ModelAnswers(p, answered.alerted[m]) for m, p in answered.probability.items()}
    unknown, no = np.full(len(rows), np.nan), np.zeros(len(rows), bool)
    version = Coded(np.zeros(len(rows), np.int32), ("1.0.0",))
    log = Observations(
        rows.times(), version, answers, unknown, no.astype(np.int8), no, no, unknown, unknown, rows
    )
    window = start_window(reference)
    window.update(batch_of(log))
    report = measure_drift(reference, window.sketch())
    assert report.drifted == ()
    assert column(report, "score:a").n_current == len(rows)


def test_what_was_never_scored_is_not_judged_as_missing() -> None:
    reference = build_reference(profile(), lambda: [scored(table(np.random.default_rng(32), 9_000), 6)])
    report = measure_drift(reference, window_of(reference, week(33)))
    assert report.drifted == ()
    assert column(report, "score:a").verdict == "insufficient evidence"


def test_the_like_period_begins_on_the_same_weekday() -> None:
    start, end = year_before(MONDAY * DAY_MS, (MONDAY + 7) * DAY_MS)
    assert (start // DAY_MS - MONDAY) % 7 == 0
    assert end - start == 7 * DAY_MS


def test_a_report_is_plain_json(reference: Sketch) -> None:
    report = measure_drift(reference, window_of(reference, week(26)))
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["columns"][0]["tests"][0]["name"] == "ks"


def test_curves_hold_all_that_was_counted(reference: Sketch) -> None:
    rows = week(27)
    rows = with_numbers(rows, amount=rows.numbers["amount"] * 2)
    window = window_of(reference, rows)
    amount = curve(reference, window, "amount")
    assert amount is not None
    width = np.diff(amount.edges)
    assert sum(amount.reference * width) + sum(amount.outside_reference) == pytest.approx(1)
    assert sum(amount.current * width) + sum(amount.outside_current) == pytest.approx(1)
    assert amount.outside_current[1] > 2 * amount.outside_reference[1]
    channel = curve(reference, window, "channel")
    assert channel is not None
    assert channel.levels == ("chip", "online", "cash", "other")
    assert sum(channel.current) == pytest.approx(1)
    age = curve(reference, window, "age")
    assert age is not None
    assert len(age.edges) == 41
    assert curve(reference, window, "nothing") is None


def test_rare_rows_without_a_card_do_not_break_the_count(reference: Sketch) -> None:
    rows = week(28)
    nobody = replace(rows, texts={**rows.texts, "card": Coded(np.full(len(rows), -1, np.int32), ())})
    assert measure_drift(reference, window_of(reference, nobody)).drifted == ()
